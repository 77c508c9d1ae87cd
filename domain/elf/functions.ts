import { INSN_SIZE } from "../isa/insn.ts";
import type { Section } from "./elf_file.ts";
import {
  type ElfFile,
  type ElfSymbol,
  groupBy,
  HIDDEN,
  SHF_EXECINSTR,
  SHT,
  STB,
  STT,
} from "./elf_file.ts";
import { malformed, unsupported } from "./object_errors.ts";

/** The functions of an object: the programs in their sections, and the subprograms in ".text". */

export interface Func {
  readonly name: string;
  readonly section: Section;
  /** Position and length, in instructions. */
  readonly start: number;
  readonly count: number;
  /** Not visible outside of the object, so that Linux verifies it as a static function. */
  readonly isStatic: boolean;
}

export const TEXT = ".text";
/** Names of programs and maps, because they become parts of paths. */
export const SYMBOL_NAME = /^[A-Za-z_][\w.$]*$/;

function isCode({ type, flags, size }: Section): boolean {
  return type === SHT.PROGBITS && (flags & SHF_EXECINSTR) !== 0 && size > 0;
}

function createFunc(symbol: ElfSymbol, section: Section): Func {
  const { name, value, size, bind, visibility } = symbol;
  const prefix = `section '${section.name}': program '${name}'`;
  if (size === 0 || size % INSN_SIZE > 0 || value % INSN_SIZE > 0) {
    throw malformed(`${prefix}: offset ${value}, size ${size}`);
  }
  if (value + size > section.size) throw malformed(`${prefix} crosses section boundary`);
  if (section.name !== TEXT && bind === STB.LOCAL) {
    throw unsupported(`${prefix} is static and not supported`);
  }
  if (!SYMBOL_NAME.test(name)) throw malformed(`${prefix}: invalid function name`);
  const isStatic = bind === STB.LOCAL || HIDDEN.includes(visibility);
  return { name, section, start: value / INSN_SIZE, count: size / INSN_SIZE, isStatic };
}

/** Returns the functions by section, then by position. */
export function findFunctions(elf: ElfFile): Func[] {
  const symbols = groupBy(
    elf.symbols.filter(({ type }) => type === STT.FUNC),
    ({ section }) => section,
  );
  return elf.sections
    .filter(isCode)
    .flatMap((section) =>
      (symbols.get(section.index) ?? [])
        .map((symbol) => createFunc(symbol, section))
        .sort((a, b) => a.start - b.start),
    );
}
