import type { Graph } from "./graph.ts";

/**
 * Computes immediate dominators in one pass: in reverse postorder, forward edges alone give the
 * right
 * result, and a backward edge to a dominator changes nothing. A graph whose backward edges all do
 * that is
 * reducible. The nearest common dominator is found by jump pointers (Myers 1983), which keep the
 * time
 * logarithmic for every shape of program.
 */

class DominatorTree {
  readonly parent: Int32Array;
  readonly #depth: Int32Array;
  readonly #jump: Int32Array;

  constructor(size: number) {
    this.parent = new Int32Array(size).fill(-1);
    this.#depth = new Int32Array(size);
    this.#jump = new Int32Array(size);
    this.parent[0] = 0;
  }

  /** Computes depth and jump pointer of a node whose parent is final. */
  finishNode(node: number): void {
    const { parent } = this;
    const [depth, jump] = [this.#depth, this.#jump];
    const up = parent[node] as number;
    const over = jump[up] as number;
    const far = jump[over] as number;
    const even =
      (depth[up] as number) - (depth[over] as number) ===
      (depth[over] as number) - (depth[far] as number);
    depth[node] = node === 0 ? 0 : (depth[up] as number) + 1;
    jump[node] = even ? far : up;
  }

  #ancestor(node: number, depth: number): number {
    let at = node;
    while ((this.#depth[at] as number) > depth) {
      const over = this.#jump[at] as number;
      at = (this.#depth[over] as number) >= depth ? over : (this.parent[at] as number);
    }
    return at;
  }

  commonDominator(one: number, other: number): number {
    const depth = Math.min(this.#depth[one] as number, this.#depth[other] as number);
    let a = this.#ancestor(one, depth);
    let b = this.#ancestor(other, depth);
    while (a !== b) {
      const apart = this.#jump[a] !== this.#jump[b];
      a = (apart ? this.#jump[a] : this.parent[a]) as number;
      b = (apart ? this.#jump[b] : this.parent[b]) as number;
    }
    return a;
  }

  dominates(node: number, other: number): boolean {
    return this.#ancestor(other, this.#depth[node] as number) === node;
  }
}

/** Returns the rank of the immediate dominator by rank; null when the graph is irreducible. */
export function computeDominators({ order, rank, next, taken }: Graph): Int32Array | null {
  const tree = new DominatorTree(order.length);
  const edge = (from: number, block: number): boolean => {
    if (block < 0) return true;
    const to = rank[block] as number;
    if (to <= from) return tree.dominates(to, from);
    const known = tree.parent[to] as number;
    tree.parent[to] = known < 0 ? from : tree.commonDominator(known, from);
    return true;
  };
  for (let from = 0; from < order.length; from++) {
    tree.finishNode(from);
    const block = order[from] as number;
    if (!edge(from, next[block] as number) || !edge(from, taken[block] as number)) return null;
  }
  return tree.parent;
}
