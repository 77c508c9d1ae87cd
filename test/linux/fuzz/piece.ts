import { insn } from "../../support/insns.ts";
import type { CaseProgram } from "./case.ts";

/**
 * Represents programs as trees of pieces. Invariant: each piece restores what it changes, so that
 * any piece can be removed: r0 to r7 hold numbers, r8 points to the value of MEMORY, r9 to the
 * value of NUMBERS, and the frame holds the context.
 */

export interface Piece {
  /** Its last instruction jumps over the body if `skips` is set. */
  head: Buffer;
  skips?: boolean;
  body?: readonly Piece[];
  /** Its last instruction jumps to the start of the body if `repeats` is set. */
  tail?: Buffer;
  repeats?: boolean;
  /** The call or ld_imm64 in `head` whose imm the linker points to this function. */
  calls?: { at: number; to: number };
  /** The piece cannot be removed, because Linux lets programs read stack bytes they never wrote. */
  fixed?: boolean;
}

export interface Subprogram {
  begin: readonly Piece[];
  body: readonly Piece[];
  end: Buffer;
}

/** The first function is the main one; `described` means that BTF describes the functions. */
export interface PieceTree {
  functions: readonly Subprogram[];
  described: boolean;
}

export const code = (...insns: Buffer[]): Piece => ({ head: Buffer.concat(insns) });

interface PieceCall {
  at: number;
  to: number;
}

/** Flattens pieces from `at` on and collects the calls that still need linking. */
function flat(pieces: readonly Piece[], at: number, calls: PieceCall[]): Buffer {
  const parts: Buffer[] = [];
  let here = at;
  for (const piece of pieces) {
    const head = Buffer.from(piece.head);
    const tail = Buffer.from(piece.tail ?? "");
    if (piece.calls) calls.push({ ...piece.calls, at: here + piece.calls.at });
    const body = flat(piece.body ?? [], here + head.length / 8, calls);
    if (piece.skips) head.writeInt16LE((body.length + tail.length) / 8, head.length - 6);
    if (piece.repeats) tail.writeInt16LE(-(body.length + tail.length) / 8, tail.length - 6);
    parts.push(head, body, tail);
    here += (head.length + body.length + tail.length) / 8;
  }
  return Buffer.concat(parts);
}

function called(pieces: readonly Piece[]): number[] {
  return pieces.flatMap(({ calls, body }) => [...(calls ? [calls.to] : []), ...called(body ?? [])]);
}

/** Lists the reachable functions in order; the first is always reachable. */
function reached({ functions }: PieceTree): number[] {
  const found = new Set([0]);
  for (const at of found) {
    const self = functions[at] as Subprogram;
    for (const to of called([...self.begin, ...self.body])) found.add(to);
  }
  return [...found].sort((a, b) => a - b);
}

export function assemble(tree: PieceTree): CaseProgram {
  const starts = new Map<number, number>();
  const calls: PieceCall[] = [];
  const parts: Buffer[] = [];
  let at = 0;
  for (const place of reached(tree)) {
    const { begin, body, end } = tree.functions[place] as Subprogram;
    starts.set(place, at);
    const insns = Buffer.concat([flat([...begin, ...body], at, calls), end]);
    parts.push(insns);
    at += insns.length / 8;
  }
  const insns = Buffer.concat(parts);
  for (const { at, to } of calls)
    insns.writeInt32LE((starts.get(to) as number) - at - 1, 8 * at + 4);
  return { insns, functions: tree.described ? [...starts.values()] : [] };
}

/** This program only returns. */
export const NOTHING: PieceTree = {
  functions: [{ begin: [], body: [], end: Buffer.concat([insn(0xb7), insn(0x95)]) }],
  described: false,
};

/** Yields each tree with one piece or function removed, the largest removals first. */
export function* smaller(tree: PieceTree): Generator<PieceTree> {
  for (const [i, self] of tree.functions.entries()) {
    for (const part of ["body", "begin"] as const) {
      for (const pieces of fewer(self[part])) {
        const functions = tree.functions.with(i, { ...self, [part]: pieces });
        yield { ...tree, functions };
      }
    }
  }
}

function* fewer(pieces: readonly Piece[]): Generator<readonly Piece[]> {
  for (let size = pieces.length; size >= 1; size >>= 1) {
    for (let from = 0; from + size <= pieces.length; from += size) {
      const cut = pieces.slice(from, from + size);
      if (!cut.some(({ fixed }) => fixed)) yield pieces.toSpliced(from, size);
    }
  }
  for (const [i, piece] of pieces.entries()) {
    if (!piece.body) continue;
    if (piece.skips || piece.repeats) yield pieces.toSpliced(i, 1, ...piece.body);
    for (const body of fewer(piece.body)) yield pieces.with(i, { ...piece, body });
  }
}
