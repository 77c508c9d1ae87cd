// Control flow of any graph: all blocks in program order in one loop. A jump forward leaves the wasm block
// that ends where its target begins; a jump back goes round the loop, to a table of such targets.

import type { Insn } from "../../isa/insn.ts";
import type { Graph } from "../analysis/graph.ts";
import { MAX_BR_TABLE, TooLarge } from "../wasm/v8_limits.ts";
import * as wasm from "../wasm/wasm.ts";
import { condition } from "./branch.ts";
import { CASE, type EmitContext } from "./emit_context.ts";
import { payJump } from "./fuel.ts";
import { leave, straight } from "./insn.ts";

const ROOM = 128;

class Dispatch {
  readonly #body: EmitContext;
  readonly #graph: Graph;
  /** Blocks that are jumped to, in program order. */
  readonly #boxes: readonly number[];
  /** By block: its place in `boxes`. */
  readonly #boxOf: Int32Array;
  /** Those that are jumped back to; the first is where the function begins. */
  readonly #cases: readonly number[];
  readonly #caseOf: Int32Array;
  /** Boxes that are behind. */
  #passed = 0;

  constructor(body: EmitContext, graph: Graph) {
    this.#body = body;
    this.#graph = graph;
    const { aimed, back } = targets(graph);
    this.#boxes = places(aimed);
    this.#cases = places(back);
    if (this.#cases.length > MAX_BR_TABLE) throw new TooLarge("irreducible, with too many loops");
    this.#boxOf = inverse(this.#boxes, aimed.length);
    this.#caseOf = inverse(this.#cases, aimed.length);
  }

  /** Index of the label of the block that ends where `target` begins. */
  #forward(target: number): number {
    return (this.#boxOf[target] as number) - this.#passed;
  }

  /** Goes to `target`; `inner` blocks are open within the box. */
  #goto(block: number, target: number, inner: number): void {
    const { code } = this.#body;
    if (target > block) code.with(wasm.BR, this.#forward(target) + inner);
    else {
      payJump(this.#body, this.#graph, block, target);
      code.i32(this.#caseOf[target] as number);
      code.set(CASE);
      code.with(wasm.BR, this.#boxes.length - this.#passed + inner);
    }
  }

  #branch(block: number): void {
    const [body, graph] = [this.#body, this.#graph];
    const target = graph.taken[block] as number;
    if (target < 0) return;
    condition(body.code, body.prog[graph.last[block] as number] as Insn);
    if (target > block) body.code.with(wasm.BR_IF, this.#forward(target));
    else {
      body.code.open(wasm.IF);
      this.#goto(block, target, 1);
      body.code.op(wasm.END);
    }
  }

  #block(block: number): void {
    const [body, graph] = [this.#body, this.#graph];
    straight(body, graph, block);
    body.code.room(ROOM);
    this.#branch(block);
    const next = graph.next[block] as number;
    if (next < 0) leave(body, graph, block);
    else if (next !== block + 1) this.#goto(block, next, 0);
  }

  write(): void {
    const { code } = this.#body;
    const { rank } = this.#graph;
    code.room(ROOM + 2 * this.#boxes.length + 5 * this.#cases.length);
    code.open(wasm.LOOP);
    for (let i = 0; i < this.#boxes.length; i++) code.open(wasm.BLOCK);
    code.get(CASE);
    code.with(wasm.BR_TABLE, this.#cases.length - 1);
    for (const block of this.#cases) code.u32(this.#boxOf[block] as number);
    for (let block = 0; block < rank.length; block++) {
      if ((rank[block] as number) < 0) continue;
      if (block === this.#boxes[this.#passed]) {
        code.room(ROOM);
        code.op(wasm.END);
        this.#passed++;
      }
      this.#block(block);
    }
    code.op(wasm.END);
  }
}

/** By block, 1 for one that is jumped to, and for one that is jumped back to. */
function targets({ next, taken, rank }: Graph): { aimed: Uint8Array; back: Uint8Array } {
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

function places(marked: Uint8Array): number[] {
  const out: number[] = [];
  for (let i = 0; i < marked.length; i++) if (marked[i] === 1) out.push(i);
  return out;
}

function inverse(list: readonly number[], size: number): Int32Array {
  const out = new Int32Array(size);
  for (let i = 0; i < list.length; i++) out[list[i] as number] = i;
  return out;
}

export function dispatched(body: EmitContext, graph: Graph): void {
  new Dispatch(body, graph).write();
}
