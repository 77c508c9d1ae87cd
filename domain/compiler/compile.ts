import { decode, type Insn } from "../isa/insn.ts";
import { type CompilationUnit, type CompiledCode, HELPERS } from "./abi.ts";
import { analyseCalls } from "./analysis/call_analysis.ts";
import { buildGraph, type Graph } from "./analysis/graph.ts";
import { scanProgram } from "./analysis/scan.ts";
import type { EmitContext } from "./emit/emit_context.ts";
import { hasBackEdge } from "./emit/fuel.ts";
import { emitFunction } from "./emit/function.ts";
import { planImports } from "./imports.ts";
import { writeModule } from "./module.ts";
import { SourceMap } from "./source_map.ts";
import { WasmWriter } from "./wasm/wasm_writer.ts";

export { TooLarge } from "./wasm/v8_limits.ts";

/** The compiler's entry: it turns eBPF v1 to v4 into a WebAssembly module that follows abi.ts. */

/** Overrides for tests and measurements of what the compiler decides itself. */
export interface CompileOptions {
  /**
   * Check all accesses fully ("exact") or only against the arena ("flat"); by default `proofs`
   * decides.
   */
  checks?: "exact" | "flat";
  /** Use the dispatch loop even where structured control flow is possible. */
  dispatch?: boolean;
}

/** Estimates the size of the module so that the buffer of most programs never has to grow. */
const estimateBytes = (insns: number): number => 4096 + 40 * insns;

const NO_PROOFS = new Uint8Array(0);

function selectProofs(proofs: Uint8Array, { checks }: CompileOptions): Uint8Array | undefined {
  if (checks === "flat") return undefined;
  return checks === "exact" ? NO_PROOFS : proofs;
}

/**
 * Compiles a program that the verifier has accepted; `proofs[i]` is 1 where the verifier proved that
 * the access of instruction i is in bounds.
 * @param prog the decoded instructions of `unit`.
 * @throws TooLarge when the module exceeds a limit of V8.
 * @throws RangeError when the program cannot be one that the verifier accepted.
 */
export function compile(
  unit: CompilationUnit,
  proofs: Uint8Array = NO_PROOFS,
  options: CompileOptions = {},
  prog: readonly Insn[] = decode(unit.insns),
): CompiledCode {
  const writer = new WasmWriter(estimateBytes(prog.length));
  const sourceMap = new SourceMap();
  const found = scanProgram(prog);
  const { starts } = found;
  const graphs = starts.map((start, i) => buildGraph(prog, start, starts[i + 1] ?? prog.length));
  const calls = analyseCalls(prog, graphs, found.helpers, unit.maps);
  const imports = planImports(found, calls.hasAddOnlyLookups);
  const provenAccesses = selectProofs(proofs, options);
  writeModule(writer, imports, unit.maps.length, (i) => {
    const graph = graphs[i] as Graph;
    const hasLocalFuel = hasBackEdge(graph);
    const context: EmitContext = {
      writer,
      prog,
      unit,
      imports,
      sourceMap,
      calls,
      provenAccesses,
      hasLocalFuel,
    };
    emitFunction(context, graph, options.dispatch === true);
  });
  return {
    wasm: writer.bytes.slice(0, writer.offset),
    sourceMap: sourceMap.table(),
    helpers: [...imports.helpers].filter((name) => HELPERS[name] !== undefined),
  };
}
