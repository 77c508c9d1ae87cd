import { type ElfFile, type ElfSymbol, type Section, STB, STT } from "./elf_file.ts";
import { malformed, tooBig } from "./object_errors.ts";
import { mapTypeName } from "./plan.ts";

/**
 * Maps of the section "maps": struct bpf_map_def of libbpf before 1.0, or struct bpf_elf_map of
 * iproute2, which begins with the same fields (lib/bpf_legacy.c).
 */

export interface LegacyMap {
  name: string;
  offset: number;
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  /** The id by which other maps and sections refer to it; 0 for none. */
  id: number;
  pinning: number;
  /** The id of a map of maps' inner maps. */
  inner_id: number;
  /** Its slot in a map of maps. */
  inner_idx: number;
}

export const PIN_OBJECT_NS = 1;
export const PIN_GLOBAL_NS = 2;
/** Both structs have at least MIN_SIZE bytes; that of iproute2 has MAX_SIZE. */
const MIN_SIZE = 16;
const MAX_SIZE = 36;
/** ELF_MAX_MAPS */
const MAX_MAPS = 64;

/** All definitions have the same size, which follows from the number of symbols. */
export function readLegacyMaps(elf: ElfFile, section: Section): LegacyMap[] {
  const symbols = elf.symbols
    .filter((symbol) => symbol.section === section.index && isMap(symbol))
    .sort((a, b) => a.value - b.value);
  if (symbols.length > MAX_MAPS)
    throw tooBig(
      `section ${section.name}: must have at most ${MAX_MAPS} maps, got ${symbols.length}`,
    );
  const size = section.data.length / symbols.length;
  if (symbols.length === 0 || size % 4 > 0 || symbols.some(({ value }, i) => value !== i * size)) {
    throw malformed(`section ${section.name}: all map definitions must have the same size`);
  }
  if (size < MIN_SIZE || size > MAX_SIZE)
    throw malformed(
      `section ${section.name}: map definitions must have ${MIN_SIZE} to ${MAX_SIZE} bytes, got ${size}`,
    );
  return symbols.map(({ name, value }) =>
    readMap(section.data.subarray(value, value + size), name, value),
  );
}

function isMap({ bind, type }: ElfSymbol): boolean {
  return bind === STB.GLOBAL && (type === STT.NOTYPE || type === STT.OBJECT);
}

/** The fields that a shorter struct lacks are zero. */
function readMap(bytes: Buffer, name: string, offset: number): LegacyMap {
  const u32 = (n: number) => (4 * n < bytes.length ? bytes.readUInt32LE(4 * n) : 0);
  return {
    name,
    offset,
    map_type: mapTypeName(u32(0)),
    key_size: u32(1),
    value_size: u32(2),
    max_entries: u32(3),
    map_flags: u32(4),
    id: u32(5),
    pinning: u32(6),
    inner_id: u32(7),
    inner_idx: u32(8),
  };
}
