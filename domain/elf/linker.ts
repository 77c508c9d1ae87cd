import { INSN_SIZE } from "../isa/insn.ts";
import { BPF_MAX_SUBPROGS } from "../isa/limits.ts";
import {
  BPF_CALL,
  BPF_JMP,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
  LD_IMM64,
} from "../isa/opcodes.ts";
import { type ElfFile, type ElfSymbol, type Section, STB, STT } from "./elf_file.ts";
import { type Func, TEXT } from "./functions.ts";
import { malformed, tooBig, unsupported } from "./object_errors.ts";

/**
 * Links programs as the kernel takes them: each is followed by the functions that it calls, in the
 * order of their first calls, and refers to maps by index (bpf_object__relocate() of libbpf.c).
 */

/** Maps an object's locations to the indexes of its maps. */
export interface MapPlaces {
  /** Definitions, by "section offset". */
  byDefinition: ReadonlyMap<string, number>;
  /** Data sections, by section index. */
  bySection: ReadonlyMap<number, number>;
}

export interface Linked {
  insns: Buffer;
  refs: { insn: number; map: number }[];
  /** The functions with their first instructions; the first is the program itself. */
  funcs: ReadonlyMap<Func, number>;
}

const CALL = BPF_JMP | BPF_CALL;
/** For all programs of an object: each may contain a copy of the same subprogram. */
const MAX_INSNS = 1_000_000;

function isExtern({ section, bind, type }: ElfSymbol): boolean {
  return section === 0 && bind !== STB.LOCAL && type === STT.NOTYPE;
}

function labelOf(elf: ElfFile, { name, section }: ElfSymbol): string {
  return name || (elf.sections[section]?.name ?? "?");
}

/** Links one program. */
class ProgramLinker {
  readonly #linker: Linker;
  readonly #parts: Buffer[] = [];
  readonly #starts = new Map<Func, number>();
  readonly #refs: { insn: number; map: number }[] = [];
  #count = 0;

  constructor(linker: Linker) {
    this.#linker = linker;
  }

  link(main: Func): Linked {
    this.#append(main);
    const insns = Buffer.concat(this.#parts);
    return { insns, refs: this.#refs, funcs: this.#starts };
  }

  #append(func: Func): void {
    const { section, start, count } = func;
    const at = this.#count;
    if (this.#starts.size === BPF_MAX_SUBPROGS)
      throw tooBig(`must have at most ${BPF_MAX_SUBPROGS} subprograms`);
    this.#linker.countInsns(count);
    this.#starts.set(func, at);
    this.#count += count;
    const code = Buffer.from(section.data.subarray(start * INSN_SIZE, (start + count) * INSN_SIZE));
    this.#parts.push(code);
    for (let i = 0; i < count; i++) this.#relocateInsn(func, code, i, at + i);
  }

  /** Relocates instruction i of a function, which is instruction `at` of the program. */
  #relocateInsn(func: Func, code: Buffer, i: number, at: number): void {
    const opcode = code.readUInt8(i * INSN_SIZE);
    const symbol = this.#linker.symbolAt(func.section, func.start + i);
    if (symbol && opcode !== CALL && opcode !== LD_IMM64) {
      throw malformed(`instruction ${i} with opcode 0x${opcode.toString(16)} cannot be relocated`);
    }
    if (opcode === CALL) this.#relocateCall(func, code, i, at, symbol);
    else if (symbol) this.#relocateLoad(code, i, at, symbol);
  }

  #relocateCall(
    func: Func,
    code: Buffer,
    i: number,
    at: number,
    symbol: ElfSymbol | undefined,
  ): void {
    const src = code.readUInt8(i * INSN_SIZE + 1) >> 4;
    const imm = code.readInt32LE(i * INSN_SIZE + 4);
    if (src !== BPF_PSEUDO_CALL) {
      if (symbol) throw malformed(`the helper call at instruction ${i} cannot be relocated`);
      return;
    }
    // Without a symbol the callee is in the same section, which only subprograms' may be.
    const from = symbol ? symbol.value / INSN_SIZE : func.start + i;
    const section = symbol ? symbol.section : func.section.index;
    code.writeInt32LE(this.#startOf(section, from + imm + 1) - at - 1, i * INSN_SIZE + 4);
  }

  #relocateLoad(code: Buffer, i: number, at: number, symbol: ElfSymbol): void {
    if ((i + 2) * INSN_SIZE > code.length)
      throw malformed("the last instruction is an incomplete ld_imm64");
    const imm = code.readInt32LE(i * INSN_SIZE + 4);
    if (this.#linker.isText(symbol.section)) {
      const start = this.#startOf(symbol.section, (symbol.value + imm) / INSN_SIZE);
      this.#writeOperand(code, i, BPF_PSEUDO_FUNC, start - at - 1);
      return;
    }
    const { map, isData } = this.#linker.mapOf(symbol);
    this.#writeOperand(code, i, isData ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD, 0);
    if (isData) code.writeInt32LE((symbol.value + imm) | 0, (i + 1) * INSN_SIZE + 4);
    this.#refs.push({ insn: at, map });
  }

  #writeOperand(code: Buffer, i: number, src: number, imm: number): void {
    code.writeUInt8((src << 4) | (code.readUInt8(i * INSN_SIZE + 1) & 0x0f), i * INSN_SIZE + 1);
    code.writeInt32LE(imm, i * INSN_SIZE + 4);
  }

  /** Returns the position of a function in the program, and appends it at its first call. */
  #startOf(section: number, insn: number): number {
    const func = this.#linker.funcAt(section, insn);
    if (!this.#starts.has(func)) this.#append(func);
    return this.#starts.get(func) ?? 0;
  }
}

export class Linker {
  readonly #elf: ElfFile;
  readonly #maps: MapPlaces;
  readonly #text: number;
  readonly #subprograms: ReadonlyMap<number, Func>;
  readonly #relocations = new Map<number, ReadonlyMap<number, ElfSymbol>>();
  #insnsLeft = MAX_INSNS;

  constructor(elf: ElfFile, maps: MapPlaces, funcs: readonly Func[]) {
    const inText = funcs.filter(({ section }) => section.name === TEXT);
    this.#elf = elf;
    this.#maps = maps;
    this.#text = inText[0]?.section.index ?? -1;
    this.#subprograms = new Map(inText.map((func) => [func.start, func]));
  }

  /** @throws EINVAL, E2BIG, EOPNOTSUPP with the program's name */
  link(main: Func): Linked {
    return new ProgramLinker(this).link(main);
  }

  countInsns(count: number): void {
    this.#insnsLeft -= count;
    if (this.#insnsLeft < 0)
      throw tooBig(`all programs together must have at most ${MAX_INSNS} instructions`);
  }

  isText(section: number): boolean {
    return section === this.#text;
  }

  /** @throws EOPNOTSUPP for an extern symbol */
  symbolAt(section: Section, insn: number): ElfSymbol | undefined {
    let table = this.#relocations.get(section.index);
    if (!table) {
      const all = [...this.#elf.relocations(section)];
      table = new Map(all.map(({ offset, symbol }) => [offset / INSN_SIZE, symbol]));
      this.#relocations.set(section.index, table);
    }
    const symbol = table.get(insn);
    if (symbol && isExtern(symbol))
      throw unsupported(`'${symbol.name}' is extern, which is not supported`);
    return symbol;
  }

  funcAt(section: number, insn: number): Func {
    const func = this.isText(section) ? this.#subprograms.get(insn) : undefined;
    if (func) return func;
    const name = this.#elf.sections[section]?.name ?? String(section);
    throw malformed(
      `a call targets instruction ${insn} of section '${name}', which does not start a subprogram`,
    );
  }

  mapOf(symbol: ElfSymbol): { map: number; isData: boolean } {
    const { section, value } = symbol;
    const data = this.#maps.bySection.get(section);
    const map = data ?? this.#maps.byDefinition.get(`${section} ${value}`);
    if (map !== undefined) return { map, isData: data !== undefined };
    throw malformed(`a relocation targets '${labelOf(this.#elf, symbol)}', which is not a map`);
  }
}
