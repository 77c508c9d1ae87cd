import type { HelperName } from "../../isa/helpers/index.ts";
import type { Insn } from "../../isa/insn.ts";
import type { MapShape } from "../../isa/map_shape.ts";
import { AddOnlyLookups } from "./add_only_lookups.ts";
import { ConstantPropagation, type RegisterFacts } from "./constant_propagation.ts";
import { runDataflow } from "./dataflow.ts";
import type { Graph } from "./graph.ts";

/**
 * Collects what is known about the arguments of bpf_map_lookup_elem() and bpf_loop() before code
 * is emitted.
 */

const NO_FACTS: RegisterFacts = {};
/** Map types whose values can be added to without reading them. */
const ADD_ONLY_TYPES: ReadonlySet<string> = new Set([
  "array",
  "hash",
  "percpu_array",
  "percpu_hash",
]);

export class CallAnalysis {
  readonly #known = new Map<number, RegisterFacts>();
  /** Some lookup is add-only. */
  hasAddOnlyLookups = false;

  factsAt(at: number): RegisterFacts {
    return this.#known.get(at) ?? NO_FACTS;
  }

  /** Adds the facts of one subprogram. */
  analyse(prog: readonly Insn[], graph: Graph, maps: readonly MapShape[]): void {
    const constants = new ConstantPropagation();
    if (!runDataflow(prog, graph, constants)) return;
    for (const [at, facts] of constants.facts) this.#known.set(at, facts);
    const adds = new AddOnlyLookups();
    if (!runDataflow(prog, graph, adds)) return;
    for (const [at, end] of adds.lookups()) {
      const facts = this.factsAt(at);
      const shape = facts.map === undefined ? undefined : maps[facts.map];
      if (shape === undefined || !ADD_ONLY_TYPES.has(shape.map_type) || end > shape.value_size)
        continue;
      this.#known.set(at, { ...facts, isAddOnly: true });
      this.hasAddOnlyLookups = true;
    }
  }
}

export function analyseCalls(
  prog: readonly Insn[],
  graphs: readonly Graph[],
  helpers: ReadonlySet<HelperName>,
  maps: readonly MapShape[],
): CallAnalysis {
  const calls = new CallAnalysis();
  if (!helpers.has("map_lookup_elem") && !helpers.has("loop")) return calls;
  for (const graph of graphs) calls.analyse(prog, graph, maps);
  return calls;
}
