import { BPF_FUNC } from "../../../domain/isa/helpers/index.ts";
import { alu, byteOrder, exchanged, holds } from "./alu.ts";
import { type ParsedInsn, Text } from "./text.ts";

/**
 * Interprets eBPF by the text of its instruction set (RFC 9669 and the additions of Linux), one
 * instruction at a time on BigInt. It is the oracle for the compiler and shares no code with it.
 */

/** Gives a program its environment. Addresses have 64 bits; an invalid access throws Trap. */
export interface InterpreterWorld {
  read(address: bigint, bytes: number): bigint;
  write(address: bigint, bytes: number, value: bigint): void;
  /** Returns r0, or throws Trap if the helper does not exist. */
  helper(number: number, args: readonly bigint[]): bigint;
  /** Returns the code of the program to continue with, or undefined if the slot is empty. */
  tailCall(map: bigint, index: number): Uint8Array | undefined;
  /**
   * Returns what a ld_imm64 loads for a map: its handle, or with an offset the address of a value
   * byte.
   */
  map(index: number, offset: number | undefined): bigint;
  /** Returns -1 if the packet has no such bytes. */
  packet(offset: number, bytes: number): bigint;
}

export class Trap extends Error {
  /** The index of the current instruction in its program. */
  at = -1;
}

/** The program runs longer than a test can wait. */
export class Endless extends Error {}

const SIZES = [4, 2, 1, 8] as const;
const FRAMES = 8;
const FRAME_BYTES = 512n;
const MAX_LOOPS = 0x80_0000n;
const STEPS = 200_000;

class InterpreterRun {
  readonly #world: InterpreterWorld;
  readonly #text: Text;
  #steps = 0;

  constructor(code: Uint8Array, world: InterpreterWorld) {
    this.#world = world;
    this.#text = new Text(code);
  }

  /** Runs the function at `start` in a frame that ends at `top` and returns its r0. */
  call(start: number, args: readonly bigint[], top: bigint, depth: number): bigint {
    const r = new BigUint64Array(11);
    for (const [i, value] of args.entries()) r[i + 1] = value;
    r[10] = top;
    let turns = MAX_LOOPS;
    let at = start;
    const below = (to: number, values: readonly bigint[]): bigint =>
      this.call(to, values, top - FRAME_BYTES, depth + 1);
    try {
      if (depth > FRAMES) throw new Trap("too many frames");
      for (;;) {
        if (++this.#steps > STEPS) throw new Endless();
        const insn = this.#text.insn(at);
        const { code, off, imm } = insn;
        if (code === 0x95) return r[0] as bigint;
        if (code === 0x05) at += off;
        else if (code === 0x06) at += imm;
        else if (code === 0xe5) at += turns-- > 0n ? 0 : off;
        else if (code === 0x85) {
          const ended = this.#callee(insn, at, r, below, depth);
          if (ended !== undefined) return ended;
        } else if ((code & 7) === 5 || (code & 7) === 6) {
          if (this.#jumps(insn, r)) at += off;
        } else if (!this.#plain(insn, at, r)) return 0n;
        at += code === 0x18 ? 2 : 1;
      }
    } catch (error) {
      if (error instanceof Trap && error.at < 0) error.at = at;
      throw error;
    }
  }

  #jumps({ code, dst, src, imm }: ParsedInsn, r: BigUint64Array): boolean {
    const y = (code & 8) !== 0 ? (r[src] as bigint) : BigInt(imm);
    return holds((code & 7) === 5 ? 64 : 32, code >> 4, r[dst] as bigint, y);
  }

  /** Returns false if the function must end with 0. */
  #plain(insn: ParsedInsn, at: number, r: BigUint64Array): boolean {
    const { code, dst, src, off, imm } = insn;
    const size = SIZES[((code >> 3) & 3) as 0 | 1 | 2 | 3];
    const kind = code & 7;
    const mode = code & 0xe0;
    if (kind === 4 || kind === 7) this.#arithmetic(insn, r);
    else if (code === 0x18) r[dst] = this.#constant(insn, at);
    else if (kind === 0) {
      const value = this.#world.packet(imm + (mode === 0x40 ? Number(r[src]) | 0 : 0), size);
      if (value < 0n) return false;
      r[0] = value;
    } else if (kind === 1) {
      const value = this.#world.read((r[src] as bigint) + BigInt(off), size);
      r[dst] = mode === 0x80 ? BigInt.asIntN(8 * size, value) : value;
    } else if (mode === 0xc0) this.#atomic(insn, size, r);
    else {
      const value = kind === 2 ? BigInt(imm) : (r[src] as bigint);
      this.#world.write((r[dst] as bigint) + BigInt(off), size, value);
    }
    return true;
  }

  #arithmetic({ code, dst, src, off, imm }: ParsedInsn, r: BigUint64Array): void {
    const x = r[dst] as bigint;
    const wide = (code & 7) === 7;
    if (code >> 4 === 0xd) r[dst] = byteOrder(imm, wide || (code & 8) !== 0, x);
    else {
      const y = (code & 8) !== 0 ? (r[src] as bigint) : BigInt(imm);
      r[dst] = alu(wide ? 64 : 32, code >> 4, off, x, y);
    }
  }

  #constant({ src, imm }: ParsedInsn, at: number): bigint {
    const high = this.#text.insn(at + 1).imm;
    if (src === 1) return this.#world.map(imm, undefined);
    if (src === 2) return this.#world.map(imm, high >>> 0);
    if (src === 4) return BigInt(this.#text.starts().indexOf(at + 1 + imm) + 1);
    return (BigInt(high) << 32n) | BigInt(imm >>> 0);
  }

  #atomic({ dst, src, off, imm }: ParsedInsn, size: number, r: BigUint64Array): void {
    const place = (r[imm === 0x100 ? src : dst] as bigint) + BigInt(off);
    const operand = r[src] as bigint;
    if (imm === 0x100) r[dst] = this.#world.read(place, size);
    else if (imm === 0x110) this.#world.write(place, size, operand);
    else {
      const old = this.#world.read(place, size);
      const expected = BigInt.asUintN(8 * size, r[0] as bigint);
      this.#world.write(place, size, exchanged(imm, old, operand, expected));
      if ((imm & 1) !== 0) r[imm === 0xf1 ? 0 : src] = old;
    }
  }

  /** Returns the result of the whole program if a tail call replaced it. */
  #callee(
    { src, imm }: ParsedInsn,
    at: number,
    r: BigUint64Array,
    below: (to: number, values: readonly bigint[]) => bigint,
    depth: number,
  ): bigint | undefined {
    const args = [...r.subarray(1, 6)];
    if (src === 1) r[0] = below(at + 1 + imm, args);
    else if (imm === BPF_FUNC.loop) r[0] = this.#loop(args, below);
    else if (imm !== BPF_FUNC.tail_call) r[0] = this.#world.helper(imm, args);
    else {
      const code = this.#world.tailCall(args[1] as bigint, Number(args[2]) >>> 0);
      if (code !== undefined) {
        return new InterpreterRun(code, this.#world).call(
          0,
          [args[0] as bigint],
          r[10] as bigint,
          depth,
        );
      }
    }
    return undefined;
  }

  #loop(
    [count, callback, context, flags]: readonly bigint[],
    below: (to: number, values: readonly bigint[]) => bigint,
  ): bigint {
    if (flags !== 0n) return -22n;
    if ((count as bigint) > MAX_LOOPS) return -7n;
    const to = this.#text.starts()[Number(callback) - 1];
    if (to === undefined) throw new Trap("no such function");
    for (let i = 0n; i < (count as bigint); i++) {
      if (below(to, [i, context as bigint, 0n, 0n, 0n]) !== 0n) return i + 1n;
    }
    return count as bigint;
  }
}

/** Runs a program and returns its r0, or throws Trap. */
export function interpret(
  code: Uint8Array,
  world: InterpreterWorld,
  args: readonly bigint[],
  top: bigint,
): bigint {
  return new InterpreterRun(code, world).call(0, args, top, 1);
}
