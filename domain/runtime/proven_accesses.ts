// What the verifier has proved of memory accesses.

import type { CompilationUnit } from "../compiler/abi.ts";
import { check, verify } from "../verifier/verifier.ts";

/** What longer paths might prove is not worth a run's wait. */
const COMPLEXITY = 65_536;

/** For each instruction 1 where its access needs no exact check; undefined: nothing is proved. */
export function provenAccesses({
  insns,
  maps,
  prog_type,
  func_info,
}: CompilationUnit): Uint8Array | undefined {
  const bytes = Buffer.from(insns.buffer, insns.byteOffset, insns.length);
  const limits = { complexity: COMPLEXITY };
  const options = {
    progType: prog_type,
    funcInfo: func_info ?? false,
    gplCompatible: true,
    limits,
  };
  const { refs } = check(bytes, options);
  const named = refs.map(({ value }) => maps[value]).filter((map) => map !== undefined);
  if (named.length < refs.length) return undefined;
  const { refusal, provenAccesses: safe } = verify(bytes, named, options);
  return refusal === null ? safe : undefined;
}
