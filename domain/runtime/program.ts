import type { CompilationUnit } from "../compiler/abi.ts";
import { type CompileOptions, compile } from "../compiler/compile.ts";
import type { HelperName } from "../isa/helpers/index.ts";
import { calleeOf, decode, type Insn, isPseudoCall, isPseudoFunc } from "../isa/insn.ts";
import {
  BPF_ADD,
  BPF_ATOMIC,
  BPF_DW,
  BPF_PSEUDO_MAP_VALUE,
  BPF_STX,
  BPF_W,
  LD_IMM64,
} from "../isa/opcodes.ts";
import type { ProgramCallback } from "./helpers/helper.ts";
import type { AddSize } from "./maps/layout.ts";
import type { RunMap } from "./maps/map.ts";
import { provenAccesses } from "./proven_accesses.ts";

/**
 * A program in a machine: compiled once, with one instance for each program of a run that has the
 * same code.
 */

/** The opcodes of atomic additions without fetch, with their sizes. */
const XADD: Readonly<Record<number, AddSize>> = {
  [BPF_STX | BPF_ATOMIC | BPF_DW]: 8,
  [BPF_STX | BPF_ATOMIC | BPF_W]: 4,
};

export type ProgramEntry = (...args: [...r: bigint[], sb: number]) => bigint;

/** Makes the names of modules in stack traces unique. */
let serial = 0;

export class CompiledProgram {
  readonly name = `p${serial++}`;
  readonly helpers: readonly HelperName[];
  /** Indexes of the maps whose value the program addresses directly. */
  readonly directMaps = new Set<number>();
  /** The size of the program's atomic additions; undefined for none, 0 for several sizes. */
  addSize: AddSize | undefined;
  readonly mapCount: number;
  readonly #module: WebAssembly.Module;
  readonly #sourceMap: Uint32Array;
  readonly #subprogStarts = new Set([0]);

  constructor(unit: CompilationUnit, options: CompileOptions = {}) {
    const prog = decode(unit.insns);
    const proofs = provenAccesses(unit, prog);
    const { wasm, sourceMap, helpers } = compile(unit, proofs, options, prog);
    this.#module = new WebAssembly.Module(addNameSection(wasm, this.name));
    this.#sourceMap = sourceMap;
    this.helpers = helpers;
    this.mapCount = unit.maps.length;
    for (const [at, insn] of prog.entries()) this.#scanInsn(insn, at);
  }

  #scanInsn(insn: Insn, locate: number): void {
    if (insn.code === LD_IMM64 && insn.src === BPF_PSEUDO_MAP_VALUE) this.directMaps.add(insn.imm);
    if (isPseudoCall(insn) || isPseudoFunc(insn)) this.#subprogStarts.add(calleeOf(insn, locate));
    const size = insn.imm === BPF_ADD ? XADD[insn.code] : undefined;
    if (size !== undefined)
      this.addSize = this.addSize === undefined || this.addSize === size ? size : 0;
  }

  instantiate(env: Record<string, unknown>): Instance {
    return new Instance(this, new WebAssembly.Instance(this.#module, { env }));
  }

  /** The instruction at an offset in the module, and whether it is the entry of a subprogram. */
  at(offset: number): { pc: number; entry: boolean } {
    let entry = 0;
    for (let i = 0; i < this.#sourceMap.length; i += 2) {
      if ((this.#sourceMap[i] as number) > offset) break;
      entry = i;
    }
    const pc = this.#sourceMap[entry + 1] ?? 0;
    let firstOfInsn = 1;
    while (firstOfInsn < entry && this.#sourceMap[firstOfInsn] !== pc) firstOfInsn += 2;
    return { pc, entry: this.#subprogStarts.has(pc) && firstOfInsn > entry };
  }
}

export class Instance {
  readonly program: CompiledProgram;
  readonly main: ProgramEntry;
  readonly callback: ProgramCallback | undefined;
  /** Index in the machine's table. */
  slot = -1;
  readonly #globals: { handle: Global; base: Global; seen: Global }[];

  constructor(program: CompiledProgram, { exports }: WebAssembly.Instance) {
    this.program = program;
    this.main = exports.main as ProgramEntry;
    this.callback = exports.callback as ProgramCallback | undefined;
    this.#globals = Array.from({ length: program.mapCount }, (_, i) => ({
      handle: exports[`map${i}`] as Global,
      base: exports[`base${i}`] as Global,
      seen: exports[`seen${i}`] as Global,
    }));
  }

  /** Sets the globals of the program's ith map. */
  bind(i: number, { handle, base, accessFlags }: RunMap): void {
    const globals = this.#globals[i];
    if (globals === undefined) return;
    globals.handle.value = handle;
    globals.base.value = base;
    globals.seen.value = accessFlags;
  }
}

type Global = WebAssembly.Global<number>;

/** Appends the custom section that names the module. */
function addNameSection(wasm: Uint8Array, name: string): Uint8Array {
  const text = Buffer.from(name);
  const subsection = [0, text.length + 1, text.length, ...text];
  const body = [4, ...Buffer.from("name"), ...subsection];
  return Buffer.concat([wasm, Buffer.from([0, body.length, ...body])]);
}
