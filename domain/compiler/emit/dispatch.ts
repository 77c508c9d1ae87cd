import type { Insn } from "../../isa/insn.ts";
import type { Graph } from "../analysis/graph.ts";
import { MAX_BR_TABLE, TooLarge } from "../wasm/v8_limits.ts";
import * as wasm from "../wasm/wasm.ts";
import { emitCondition } from "./branch.ts";
import { DISPATCH_CASE, type EmitContext } from "./emit_context.ts";
import { emitBackJumpFuel } from "./fuel.ts";
import { emitBlock, emitReturn } from "./insn.ts";

/**
 * Emits any control flow graph: one loop holds all blocks in program order. A forward jump leaves
 * the
 * wasm block that ends where its target begins; a backward jump continues the loop, which starts
 * with a
 * table of such targets.
 */

const TERMINATOR_BYTES = 128;

class DispatchEmitter {
  readonly #context: EmitContext;
  readonly #graph: Graph;
  /** Blocks that are jump targets, in program order. */
  readonly #boxes: readonly number[];
  /** Index in `boxes`, by block. */
  readonly #boxOf: Int32Array;
  /** Targets of backward jumps; the first is the entry of the function. */
  readonly #cases: readonly number[];
  readonly #caseOf: Int32Array;
  /** Number of wasm blocks that are already closed. */
  #passed = 0;

  constructor(context: EmitContext, graph: Graph) {
    this.#context = context;
    this.#graph = graph;
    const { aimed, back } = findTargets(graph);
    this.#boxes = listMarked(aimed);
    this.#cases = listMarked(back);
    if (this.#cases.length > MAX_BR_TABLE) {
      throw new TooLarge(
        `irreducible control flow may have at most ${MAX_BR_TABLE} targets of backward jumps, ` +
          `got ${this.#cases.length}`,
      );
    }
    this.#boxOf = invert(this.#boxes, aimed.length);
    this.#caseOf = invert(this.#cases, aimed.length);
  }

  /** Returns the label of the wasm block that ends where `target` begins. */
  #forward(target: number): number {
    return (this.#boxOf[target] as number) - this.#passed;
  }

  /** Emits a jump to `target`; `inner` more wasm blocks are open around it. */
  #goto(block: number, target: number, inner: number): void {
    const { writer } = this.#context;
    if (target > block) writer.opWithIndex(wasm.BR, this.#forward(target) + inner);
    else {
      emitBackJumpFuel(this.#context, this.#graph, block, target);
      writer.i32Const(this.#caseOf[target] as number);
      writer.localSet(DISPATCH_CASE);
      writer.opWithIndex(wasm.BR, this.#boxes.length - this.#passed + inner);
    }
  }

  #branch(block: number): void {
    const [context, graph] = [this.#context, this.#graph];
    const target = graph.taken[block] as number;
    if (target < 0) return;
    emitCondition(context.writer, context.prog[graph.last[block] as number] as Insn);
    if (target > block) context.writer.opWithIndex(wasm.BR_IF, this.#forward(target));
    else {
      context.writer.openBlock(wasm.IF);
      this.#goto(block, target, 1);
      context.writer.op(wasm.END);
    }
  }

  #block(block: number): void {
    const [context, graph] = [this.#context, this.#graph];
    emitBlock(context, graph, block);
    context.writer.reserve(TERMINATOR_BYTES);
    this.#branch(block);
    const next = graph.next[block] as number;
    if (next < 0) emitReturn(context, graph, block);
    else if (next !== block + 1) this.#goto(block, next, 0);
  }

  write(): void {
    const { writer } = this.#context;
    const { rank } = this.#graph;
    writer.reserve(TERMINATOR_BYTES + 2 * this.#boxes.length + 5 * this.#cases.length);
    writer.openBlock(wasm.LOOP);
    for (let i = 0; i < this.#boxes.length; i++) writer.openBlock(wasm.BLOCK);
    writer.localGet(DISPATCH_CASE);
    writer.opWithIndex(wasm.BR_TABLE, this.#cases.length - 1);
    for (const block of this.#cases) writer.u32(this.#boxOf[block] as number);
    for (let block = 0; block < rank.length; block++) {
      if ((rank[block] as number) < 0) continue;
      if (block === this.#boxes[this.#passed]) {
        writer.reserve(TERMINATOR_BYTES);
        writer.op(wasm.END);
        this.#passed++;
      }
      this.#block(block);
    }
    writer.op(wasm.END);
  }
}

/** Marks, by block, the targets of all jumps and those of backward jumps. */
function findTargets({ next, taken, rank }: Graph): { aimed: Uint8Array; back: Uint8Array } {
  const aimed = new Uint8Array(rank.length);
  const back = new Uint8Array(rank.length);
  aimed[0] = 1;
  back[0] = 1;
  for (let block = 0; block < rank.length; block++) {
    if ((rank[block] as number) < 0) continue;
    for (const to of [taken[block] as number, next[block] as number]) {
      if (to < 0) continue;
      aimed[to] = 1;
      if (to <= block) back[to] = 1;
    }
  }
  return { aimed, back };
}

function listMarked(marked: Uint8Array): number[] {
  const out: number[] = [];
  for (let i = 0; i < marked.length; i++) if (marked[i] === 1) out.push(i);
  return out;
}

function invert(list: readonly number[], size: number): Int32Array {
  const out = new Int32Array(size);
  for (let i = 0; i < list.length; i++) out[list[i] as number] = i;
  return out;
}

export function emitDispatchLoop(context: EmitContext, graph: Graph): void {
  new DispatchEmitter(context, graph).write();
}
