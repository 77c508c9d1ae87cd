import { formatConstantBy } from "../asm/grammar.ts";
import { reasonOf } from "../errno.ts";
import { disasm } from "../isa/disasm.ts";
import { decode, INSN_SIZE, type Insn } from "../isa/insn.ts";
import type { Refusal } from "../verifier/verifier.ts";
import type { DecodedInsns } from "../verifier/worker.ts";

/** Adds the detail of a rejected program: its instruction, if one is at fault, and the log's reason. */
export function withDetail(
  refusal: Refusal | null,
  { insns, prog, byId }: DecodedInsns,
  at?: number,
): (Refusal & { detail: string }) | null {
  if (refusal === null) return null;
  const reason = refusal.detail ?? reasonOf(refusal.log);
  if (at === undefined) return { ...refusal, detail: reason };
  const [insn, next] =
    prog?.slice(at, at + 2) ?? decode(insns.subarray(at * INSN_SIZE, (at + 2) * INSN_SIZE));
  const text = disasm(insn as Insn, next, formatConstantBy(byId?.has(at) ? "id" : "fd"));
  const place = `insn ${at}, ${text.replace(/^\(..\) /, "")}`;
  return { ...refusal, detail: reason === "" ? place : `${place}: ${reason}` };
}
