import { decode } from "../../domain/isa/insn.ts";
import * as verifier from "../../domain/verifier/verifier.ts";

/** Calls the verifier on programs given as bytes. */

export const check = (insns: Buffer, options?: verifier.VerifierOptions): verifier.Verdict =>
  verifier.check(decode(insns), options);

export const verify = (
  insns: Buffer,
  maps: readonly verifier.MapFacts[],
  options?: verifier.VerifierOptions,
): verifier.Report => verifier.verify(decode(insns), maps, options);

export const tag = (insns: Buffer): string => verifier.tag(insns, decode(insns));
