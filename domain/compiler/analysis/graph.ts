// The basic blocks of a subprogram and the order in which they are written.

import { type Insn, isCall, isExit, isGoto, isJump, isKnown, jumpTarget } from "../../isa/insn.ts";
import { LD_IMM64 } from "../../isa/opcodes.ts";

export interface Graph {
  /** First instruction of each block, ascending, and of what follows the last. */
  readonly first: Int32Array;
  /** The last instruction of each block. */
  readonly last: Int32Array;
  /** Block that it falls into or goes to; -1: it exits. */
  readonly next: Int32Array;
  /** Block that its conditional jump goes to; -1: it has none. */
  readonly taken: Int32Array;
  /** Blocks that can be reached, in reverse postorder: fallen into before jumped to. */
  readonly order: Int32Array;
  /** Place of each block in `order`, -1 for none. */
  readonly rank: Int32Array;
}

const PLAIN = 0;
const EXIT = 1;
const GOTO = 2;
const BRANCH = 3;

function kindOf(code: number): number {
  const insn = { code, dst: 0, src: 0, off: 0, imm: 0 };
  if (!isJump(insn) || !isKnown(insn) || isCall(insn)) return PLAIN;
  if (isExit(insn)) return EXIT;
  return isGoto(insn) ? GOTO : BRANCH;
}

const KINDS = Uint8Array.from({ length: 256 }, (_, code) => kindOf(code));

/** It ends a block by itself: what it does is where it goes. */
export const isTerminator = (insn: Insn): boolean => KINDS[insn.code] !== PLAIN;

const width = (insn: Insn): number => (insn.code === LD_IMM64 ? 2 : 1);

function checkedTarget(insn: Insn, at: number, start: number, end: number): number {
  const to = jumpTarget(insn, at);
  if (to < start || to >= end) throw new RangeError(`jump out of range from insn ${at} to ${to}`);
  return to;
}

/** 1 for each instruction, from start, that begins a block. */
function markLeaders(prog: readonly Insn[], start: number, end: number): Uint8Array {
  const leads = new Uint8Array(end - start + 1);
  leads[0] = 1;
  leads[end - start] = 1;
  for (let at = start; at < end; ) {
    const insn = prog[at] as Insn;
    const kind = KINDS[insn.code] as number;
    const after = at + width(insn);
    if (kind !== PLAIN) leads[after - start] = 1;
    if (kind > EXIT) leads[checkedTarget(insn, at, start, end) - start] = 1;
    at = after;
  }
  return leads;
}

/** Blocks in program order, with their edges by instruction, -1 for none. */
function buildBlocks(
  prog: readonly Insn[],
  start: number,
  end: number,
): Omit<Graph, "order" | "rank"> {
  const leads = markLeaders(prog, start, end);
  const blockAt = new Int32Array(leads.length).fill(-1);
  let count = 0;
  for (let i = 0; i < leads.length; i++) if (leads[i] === 1) blockAt[i] = count++;
  count--;
  const first = new Int32Array(count + 1);
  const [last, next, taken] = [0, 1, 2].map(() => new Int32Array(count).fill(-1)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  let block = 0;
  for (let at = start; at < end; ) {
    const insn = prog[at] as Insn;
    const after = at + width(insn);
    if (leads[at - start] === 1) first[block] = at;
    if (leads[after - start] === 1 || after >= end) {
      const kind = KINDS[insn.code] as number;
      const to = kind > EXIT ? (blockAt[jumpTarget(insn, at) - start] as number) : -1;
      const below = after < end ? block + 1 : -1;
      last[block] = at;
      next[block] = kind === GOTO ? to : kind === EXIT ? -1 : below;
      taken[block] = kind === BRANCH ? to : -1;
      block++;
    }
    at = after;
  }
  if (block !== count) throw new RangeError("jump into the middle of a ld_imm64");
  first[count] = end;
  return { first, last, next, taken };
}

/** Depth first without recursion; the jump before the fall, so that the fall comes first in the end. */
function reversePostorder(next: Int32Array, taken: Int32Array): Int32Array {
  const count = next.length;
  const step = new Uint8Array(count);
  const stack = new Int32Array(count);
  const order = new Int32Array(count);
  let place = count;
  let height = 1;
  step[0] = 1;
  while (height > 0) {
    const block = stack[height - 1] as number;
    const now = step[block] as number;
    const to = now === 1 ? taken[block] : now === 2 ? next[block] : -1;
    if (now === 3) {
      order[--place] = block;
      height--;
      continue;
    }
    step[block] = now + 1;
    if (to === undefined || to < 0 || step[to] !== 0) continue;
    step[to] = 1;
    stack[height++] = to;
  }
  return order.subarray(place);
}

/** The graph of instructions [start, end). RangeError: a jump leaves it. */
export function buildGraph(prog: readonly Insn[], start: number, end: number): Graph {
  const blocks = buildBlocks(prog, start, end);
  const order = reversePostorder(blocks.next, blocks.taken);
  const rank = new Int32Array(blocks.next.length).fill(-1);
  for (let i = 0; i < order.length; i++) rank[order[i] as number] = i;
  return { ...blocks, order, rank };
}
