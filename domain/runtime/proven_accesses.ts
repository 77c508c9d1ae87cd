import type { CompilationUnit } from "../compiler/abi.ts";
import type { Insn } from "../isa/insn.ts";
import { check, verify } from "../verifier/verifier.ts";

/** Finds the memory accesses that the verifier has proved, which need no bounds check at run time. */

/** A proof that takes longer would delay the run more than it saves. */
const COMPLEXITY = 65_536;

/** Verifies a program that another process has loaded, or this one before a restart. */
function prove(
  { maps, prog_type, func_info }: CompilationUnit,
  prog: readonly Insn[],
): Uint8Array | undefined {
  const limits = { complexity: COMPLEXITY };
  const options = {
    progType: prog_type,
    funcInfo: func_info ?? false,
    gplCompatible: true,
    limits,
  };
  const { refs } = check(prog, options);
  const named = refs.map(({ value }) => maps[value]).filter((map) => map !== undefined);
  if (named.length < refs.length) return undefined;
  const report = verify(prog, named, options);
  return report.refusal === null ? report.provenAccesses : undefined;
}

/**
 * Returns 1 for each instruction whose access is proven, or undefined when none is. A unit carries the
 * proof of its load; a program without one is verified here.
 */
export function provenAccesses(
  unit: CompilationUnit,
  prog: readonly Insn[],
): Uint8Array | undefined {
  return unit.provenAccesses ?? prove(unit, prog);
}
