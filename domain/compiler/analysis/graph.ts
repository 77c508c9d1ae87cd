import { type Insn, isCall, isExit, isGoto, isJump, isKnown, jumpTarget } from "../../isa/insn.ts";
import { LD_IMM64 } from "../../isa/opcodes.ts";

/** Builds the basic blocks of a subprogram and the order in which they are emitted. */

export interface Graph {
  /** First instruction of each block, ascending, then the end of the subprogram. */
  readonly first: Int32Array;
  /** The last instruction of each block. */
  readonly last: Int32Array;
  /** Block that follows or is the target of a goto; -1 for an exit. */
  readonly next: Int32Array;
  /** Target of the block's conditional jump; -1 without one. */
  readonly taken: Int32Array;
  /** Reachable blocks in reverse postorder: the fall-through before the jump target. */
  readonly order: Int32Array;
  /** Index of each block in `order`; -1 for an unreachable one. */
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

/** The instruction only decides where control goes. */
export const isTerminator = (insn: Insn): boolean => KINDS[insn.code] !== PLAIN;

const width = (insn: Insn): number => (insn.code === LD_IMM64 ? 2 : 1);

function checkedTarget(insn: Insn, at: number, start: number, end: number): number {
  const to = jumpTarget(insn, at);
  if (to < start || to >= end) throw new RangeError(`jump out of range from insn ${at} to ${to}`);
  return to;
}

/** Marks, from start, each instruction that begins a block. */
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

/** Builds the blocks in program order with their edges. */
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

/**
 * Walks depth first, without recursion. It visits the jump before the fall-through, so that the
 * latter is first.
 */
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

/** Builds the graph of instructions [start, end). @throws RangeError when a jump leaves them. */
export function buildGraph(prog: readonly Insn[], start: number, end: number): Graph {
  const blocks = buildBlocks(prog, start, end);
  const order = reversePostorder(blocks.next, blocks.taken);
  const rank = new Int32Array(blocks.next.length).fill(-1);
  for (let i = 0; i < order.length; i++) rank[order[i] as number] = i;
  return { ...blocks, order, rank };
}
