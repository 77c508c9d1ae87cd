// A program as a machine keeps it: compiled once, with as many instances as a run needs of the same code.

import type { CompilationUnit } from "../compiler/abi.ts";
import { type CompileOptions, compile } from "../compiler/compile.ts";
import * as bpf from "../isa/insn.ts";
import { decode, type Insn, LD_IMM64, PSEUDO_MAP_VALUE } from "../isa/insn.ts";
import type { ProgramCallback } from "./helpers/helper.ts";
import type { AddSize } from "./maps/layout.ts";
import type { RunMap } from "./maps/map.ts";
import { provenAccesses } from "./proven_accesses.ts";

/** Atomic additions without fetch: of 8 bytes, of 4. */
const XADD: Readonly<Record<number, AddSize>> = { 219: 8, 195: 4 };

export type ProgramEntry = (...args: [...r: bigint[], sb: number]) => bigint;

/** Its names in stack traces. */
let serial = 0;

export class CompiledProgram {
  readonly name = `p${serial++}`;
  readonly helpers: readonly number[];
  /** Maps whose only value's address is taken, by their places. */
  readonly direct = new Set<number>();
  /** Of what it adds to values; undefined when it does not, 0 when sizes differ. */
  adds: AddSize | undefined;
  readonly maps: number;
  readonly #module: WebAssembly.Module;
  readonly #places: Uint32Array;
  readonly #starts = new Set([0]);

  constructor(unit: CompilationUnit, options: CompileOptions = {}) {
    const { wasm, places, helpers } = compile(unit, provenAccesses(unit), options);
    this.#module = new WebAssembly.Module(named(wasm, this.name));
    this.#places = places;
    this.helpers = helpers;
    this.maps = unit.maps.length;
    const { buffer, byteOffset, byteLength } = unit.insns;
    const insns = decode(Buffer.from(buffer, byteOffset, byteLength));
    for (const [at, insn] of insns.entries()) this.#note(insn, at);
  }

  #note(insn: Insn, at: number): void {
    if (insn.code === LD_IMM64 && insn.src === PSEUDO_MAP_VALUE) this.direct.add(insn.imm);
    if (bpf.isPseudoCall(insn) || bpf.isPseudoFunc(insn)) this.#starts.add(bpf.callee(insn, at));
    const size = insn.imm === 0 ? XADD[insn.code] : undefined;
    if (size !== undefined) this.adds = this.adds === undefined || this.adds === size ? size : 0;
  }

  instance(env: Record<string, unknown>): Instance {
    return new Instance(this, new WebAssembly.Instance(this.#module, { env }));
  }

  /** The instruction at an offset in the module, and whether it is where a subprogram is entered. */
  at(offset: number): { pc: number; entry: boolean } {
    let found = 0;
    for (let i = 0; i < this.#places.length; i += 2) {
      if ((this.#places[i] as number) > offset) break;
      found = i;
    }
    const pc = this.#places[found + 1] ?? 0;
    let first = 1;
    while (first < found && this.#places[first] !== pc) first += 2;
    return { pc, entry: this.#starts.has(pc) && first > found };
  }
}

export class Instance {
  readonly program: CompiledProgram;
  readonly main: ProgramEntry;
  readonly callback: ProgramCallback | undefined;
  /** Its place in the machine's table. */
  slot = -1;
  readonly #globals: { handle: Global; base: Global; seen: Global }[];

  constructor(program: CompiledProgram, { exports }: WebAssembly.Instance) {
    this.program = program;
    this.main = exports.main as ProgramEntry;
    this.callback = exports.callback as ProgramCallback | undefined;
    this.#globals = Array.from({ length: program.maps }, (_, i) => ({
      handle: exports[`map${i}`] as Global,
      base: exports[`base${i}`] as Global,
      seen: exports[`seen${i}`] as Global,
    }));
  }

  /** Tells it its map number i. */
  bind(i: number, { handle, base, accessFlags }: RunMap): void {
    const globals = this.#globals[i];
    if (globals === undefined) return;
    globals.handle.value = handle;
    globals.base.value = base;
    globals.seen.value = accessFlags;
  }
}

type Global = WebAssembly.Global<number>;

/** With a custom section that names the module. */
function named(wasm: Uint8Array, name: string): Uint8Array {
  const text = Buffer.from(name);
  const subsection = [0, text.length + 1, text.length, ...text];
  const body = [4, ...Buffer.from("name"), ...subsection];
  return Buffer.concat([wasm, Buffer.from([0, body.length, ...body])]);
}
