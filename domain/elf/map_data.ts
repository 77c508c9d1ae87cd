import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG } from "../isa/uapi.ts";
import { type ElfFile, type Section, SHF_EXECINSTR, SHT } from "./elf_file.ts";
import type { ObjectBtf } from "./object_btf.ts";
import { malformed } from "./object_errors.ts";

/**
 * Sections of variables as array maps of one element (bpf_object__init_internal_map() of
 * libbpf.c).
 */

const NAME_MAX = 15;

export interface DataMap {
  name: string;
  map_name: string;
  section: Section;
  map_flags: number;
  frozen: boolean;
  /** The id of its DATASEC; 0 for none, as for string literals. */
  datasec: number;
}

const dataKind = ({ name, type, flags, size }: Section) => {
  if (size === 0) return undefined;
  if (type === SHT.NOBITS) return /^\.(bss)(\.|$)/.exec(name)?.[1];
  if (type !== SHT.PROGBITS || flags & SHF_EXECINSTR) return undefined;
  return /^\.(data|rodata)(\.|$)/.exec(name)?.[1];
};

/** ".data" gets a prefix of the object's name; a section such as ".data.x" keeps its name. */
function makeMapName(object: string, section: string): string {
  const room = NAME_MAX - Math.min(NAME_MAX, Math.max(".rodata".length, section.length));
  const prefix = section.includes(".", 1) ? "" : object.slice(0, room);
  return `${prefix}${section}`.slice(0, NAME_MAX).replace(/[^\w.]/g, "_");
}

/** Read-only data is frozen; data with global variables may be mapped into memory. */
function createDataMap(section: Section, kind: string, name: string, isGlobal: boolean): DataMap {
  if (section.size > 0xffff_ffff)
    throw malformed(
      `section ${section.name}: must have less than 4 GiB, got ${section.size} bytes`,
    );
  const map_name = makeMapName(name, section.name);
  return {
    name: section.name.includes(".", 1) ? section.name : map_name,
    map_name,
    section,
    map_flags: (kind === "rodata" ? BPF_F_RDONLY_PROG : 0) + (isGlobal ? BPF_F_MMAPABLE : 0),
    frozen: kind === "rodata",
    datasec: 0,
  };
}

/** Yields the maps in section order. BTF describes the first of several sections with one name. */
export function* findDataMaps(
  elf: ElfFile,
  btf: ObjectBtf | undefined,
  object: string,
): Generator<DataMap> {
  const described = new Set<string>();
  for (const section of elf.sections) {
    const kind = dataKind(section);
    if (kind === undefined) continue;
    const datasec = described.has(section.name) ? 0 : (btf?.datasec(section.name) ?? 0);
    described.add(section.name);
    const variables = datasec > 0 ? (btf?.variables(datasec, section) ?? []) : [];
    const isGlobal = variables.some((variable) => variable.isGlobal);
    yield { ...createDataMap(section, kind, object, isGlobal), datasec };
  }
}
