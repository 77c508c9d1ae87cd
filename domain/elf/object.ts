import { Errno } from "../errno.ts";
import type { FuncType } from "../isa/func_type.ts";
import { SchemaError } from "../schema/limits.ts";
import { BtfExt } from "./btf_ext.ts";
import { ElfFile } from "./elf_file.ts";
import { readFuncType } from "./func_type.ts";
import { type Func, findFunctions } from "./functions.ts";
import { fillBtfSlots, fillLegacySlots, findEntryPoints, parseTailSlot } from "./initial_slots.ts";
import { Linker } from "./linker.ts";
import { ObjectMaps } from "./maps.ts";
import { ObjectBtf } from "./object_btf.ts";
import { malformed, unsupported } from "./object_errors.ts";
import type { ObjectPlan, PlanOptions, ProgPlan } from "./plan.ts";
import { guessSectionType, resolveSectionType, type SectionType } from "./section_type.ts";

/** Parses an object file into the plan of maps and programs: the entry point of this folder. */

const LICENSE_MAX = 127;
const STRUCT_OPS = /^\??\.struct_ops(\.link)?$/;

function licenseOf(elf: ElfFile): string {
  const text = elf.section("license")?.data.toString("latin1") ?? "";
  return text.replace(/\0.*/s, "").slice(0, LICENSE_MAX);
}

/** Adds the name of the program to an error. */
function withProgName<T>({ name }: Func, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    throw new Errno(error.code, `prog '${name}': ${error.message}`);
  }
}

/** Derives types from sections; a tail-call program has the type of the first other program. */
function resolveProgTypes(
  funcs: readonly Func[],
  maps: ObjectMaps,
  progType: string | undefined,
): SectionType[] {
  if (progType !== undefined) return funcs.map(() => resolveSectionType(progType));
  const firstOther = funcs.find(({ section }) => !parseTailSlot(section.name, maps.legacy));
  return funcs.map((func) =>
    withProgName(func, () => {
      const tail = firstOther && parseTailSlot(func.section.name, maps.legacy);
      return guessSectionType((tail ? firstOther : func).section.name);
    }),
  );
}

/** Returns the types of all functions of a program, or undefined without type information. */
function funcTypes(
  btf: ObjectBtf | undefined,
  ext: BtfExt | undefined,
  funcs: ReadonlyMap<Func, number>,
): FuncType[] | undefined {
  const types: FuncType[] = [];
  for (const [func, start] of funcs) {
    const id = ext?.funcTypeId(func);
    if (id === undefined && start === 0) return undefined;
    if (id === undefined || !btf)
      throw malformed(`missing .BTF.ext function info of '${func.name}'`);
    types.push(readFuncType(btf, id, { start, isStatic: func.isStatic }));
  }
  return types;
}

class ObjectFile {
  readonly #elf: ElfFile;
  readonly #maps: ObjectMaps;
  readonly #btf: ObjectBtf | undefined;
  readonly #ext: BtfExt | undefined;

  constructor(file: Buffer, options: PlanOptions) {
    const elf = new ElfFile(file);
    const ops = elf.sections.find(({ name, size }) => STRUCT_OPS.test(name) && size > 0);
    if (ops) throw unsupported(`section '${ops.name}': struct_ops are not supported`);
    const [types, ext] = [elf.section(".BTF"), elf.section(".BTF.ext")];
    const btf = types && new ObjectBtf(types.data, elf);
    this.#elf = elf;
    this.#btf = btf;
    this.#ext = btf && ext && new BtfExt(ext.data, btf);
    this.#maps = new ObjectMaps(file, elf, btf, options);
  }

  plan({ prog_type }: PlanOptions): ObjectPlan {
    const maps = this.#maps;
    const funcs = findFunctions(this.#elf);
    const mains = findEntryPoints(funcs);
    const types = resolveProgTypes(mains, maps, prog_type);
    const linker = new Linker(this.#elf, maps, funcs);
    const progs = mains.map((func, i) => this.#planProgram(linker, func, types[i] as SectionType));
    fillBtfSlots(this.#elf, maps, mains);
    fillLegacySlots(maps);
    for (const [of, { section }] of mains.entries()) {
      const tail = parseTailSlot(section.name, maps.legacy);
      if (tail) maps.plans[tail.map]?.slots.push({ index: tail.index, of });
    }
    return { license: licenseOf(this.#elf), maps: maps.plans, progs };
  }

  #planProgram(linker: Linker, func: Func, type: SectionType): ProgPlan {
    return withProgName(func, () => {
      const { insns, refs, funcs } = linker.link(func);
      const func_types = funcTypes(this.#btf, this.#ext, funcs);
      return { name: func.name, section: func.section.name, ...type, insns, refs, func_types };
    });
  }
}

/** @throws EINVAL for an invalid object; EOPNOTSUPP, E2BIG */
export function planObject(file: Buffer, options: PlanOptions): ObjectPlan {
  try {
    return new ObjectFile(file, options).plan(options);
  } catch (error) {
    throw error instanceof SchemaError ? malformed(`.BTF: ${error.message}`) : error;
  }
}
