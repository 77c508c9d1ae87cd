import type { Graph } from "../analysis/graph.ts";
import * as wasm from "../wasm/wasm.ts";
import { emitCondition } from "./branch.ts";
import type { EmitContext } from "./emit_context.ts";
import { emitBackJumpFuel } from "./fuel.ts";
import { emitBlock, emitReturn } from "./insn.ts";

/**
 * Emits a reducible graph as nested blocks and loops, from its dominator tree (N. Ramsey, "Beyond
 * Relooper", ICFP 2022). A block that is a jump target, or has several predecessors, follows the
 * end of
 * a wasm block around its dominator's code; any other is written where control falls into it.
 * Pending
 * blocks are on an explicit stack, because a program decides how deep they nest.
 */

/** Upper bound of the bytes that a block's opening and its terminator compile to. */
const TERMINATOR_BYTES = 128;
/** An entry of the stack of pending ranks that closes the innermost wasm block. */
const CLOSE = -1;

class StructuredEmitter {
  readonly #context: EmitContext;
  readonly #graph: Graph;
  /** 1 for each rank that a conditional jump or several forward edges reach. */
  readonly #boxed: Uint8Array;
  readonly #heads: Uint8Array;
  /** By rank, its boxed children in the dominator tree, the last one first. */
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  /** Nesting depth of the label of a forward, or backward, jump to a rank. */
  readonly #boxAt: Int32Array;
  readonly #loopAt: Int32Array;
  readonly #pending: number[] = [0];
  #depth = 0;

  constructor(context: EmitContext, graph: Graph, idom: Int32Array) {
    const count = graph.order.length;
    this.#context = context;
    this.#graph = graph;
    this.#boxed = new Uint8Array(count);
    this.#heads = new Uint8Array(count);
    this.#child = new Int32Array(count).fill(-1);
    this.#sibling = new Int32Array(count).fill(-1);
    this.#boxAt = new Int32Array(count);
    this.#loopAt = new Int32Array(count);
    this.#classify();
    for (let rank = 1; rank < count; rank++) {
      if (this.#boxed[rank] === 0) continue;
      const up = idom[rank] as number;
      this.#sibling[rank] = this.#child[up] as number;
      this.#child[up] = rank;
    }
  }

  #classify(): void {
    const { order, rank, next, taken } = this.#graph;
    const fallen = new Uint8Array(order.length);
    for (let from = 0; from < order.length; from++) {
      const block = order[from] as number;
      const to = next[block] as number;
      const over = taken[block] as number;
      if (over >= 0) this.#edge(from, rank[over] as number, this.#boxed);
      if (to < 0) continue;
      const place = rank[to] as number;
      this.#edge(from, place, fallen[place] === 1 ? this.#boxed : fallen);
    }
  }

  #edge(from: number, to: number, forward: Uint8Array): void {
    (to <= from ? this.#heads : forward)[to] = 1;
  }

  #open(op: number): number {
    this.#context.writer.reserve(TERMINATOR_BYTES);
    this.#context.writer.openBlock(op);
    return ++this.#depth;
  }

  #tree(rank: number): void {
    if (this.#heads[rank] === 1) {
      this.#loopAt[rank] = this.#open(wasm.LOOP);
      this.#pending.push(CLOSE);
    }
    for (
      let child = this.#child[rank] as number;
      child >= 0;
      child = this.#sibling[child] as number
    ) {
      this.#boxAt[child] = this.#open(wasm.BLOCK);
      this.#pending.push(child, CLOSE);
    }
    const block = this.#graph.order[rank] as number;
    emitBlock(this.#context, this.#graph, block);
    this.#context.writer.reserve(TERMINATOR_BYTES);
    this.#branch(rank, block);
    this.#fall(rank, block);
  }

  /** Returns the nesting depth of the label of a jump between two ranks. */
  #label(from: number, to: number): number {
    return (to <= from ? this.#loopAt[to] : this.#boxAt[to]) as number;
  }

  #branch(rank: number, block: number): void {
    const [context, graph] = [this.#context, this.#graph];
    const { writer, prog } = context;
    const target = graph.taken[block] as number;
    if (target < 0) return;
    const at = graph.last[block] as number;
    const label = this.#label(rank, graph.rank[target] as number);
    emitCondition(writer, prog[at] as (typeof prog)[number]);
    if ((graph.first[target] as number) > at) writer.opWithIndex(wasm.BR_IF, this.#depth - label);
    else {
      writer.openBlock(wasm.IF);
      emitBackJumpFuel(context, graph, block, target);
      writer.opWithIndex(wasm.BR, this.#depth + 1 - label);
      writer.op(wasm.END);
    }
  }

  #fall(rank: number, block: number): void {
    const [context, graph] = [this.#context, this.#graph];
    const target = graph.next[block] as number;
    if (target < 0) emitReturn(context, graph, block);
    else {
      emitBackJumpFuel(context, graph, block, target);
      const to = graph.rank[target] as number;
      if (to > rank && this.#boxed[to] === 0) this.#pending.push(to);
      else this.#jump(rank, to);
    }
  }

  /** Emits a jump, unless the code falls off the end of the target's box anyway. */
  #jump(from: number, to: number): void {
    const label = this.#label(from, to);
    if (to <= from || label !== this.#depth)
      this.#context.writer.opWithIndex(wasm.BR, this.#depth - label);
  }

  write(): void {
    for (let work = this.#pending.pop(); work !== undefined; work = this.#pending.pop()) {
      if (work !== CLOSE) this.#tree(work);
      else {
        this.#context.writer.reserve(TERMINATOR_BYTES);
        this.#context.writer.op(wasm.END);
        this.#depth--;
      }
    }
  }
}

export function emitStructured(context: EmitContext, graph: Graph, idom: Int32Array): void {
  new StructuredEmitter(context, graph, idom).write();
}
