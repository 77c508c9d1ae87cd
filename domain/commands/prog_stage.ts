import { INSN_SIZE } from "../isa/insn.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { unrecorded } from "../redis/idempotency.ts";
import { PAGE_INSNS, STEP_PAGES } from "../redis/records.ts";

/**
 * Sends the instructions of a long program in steps before the load, so that no script takes long. They
 * form a draft of the session, which expires by itself.
 */

const PAGE_BYTES = PAGE_INSNS * INSN_SIZE;
const STEP_BYTES = STEP_PAGES * PAGE_BYTES;

export const isStagedInsns = (insns: Buffer): boolean => insns.length > STEP_BYTES;

export async function stageInsns(
  run: RunCommand,
  call: Call,
  draft: string,
  insns: Buffer,
): Promise<void> {
  for (let at = 0; at < insns.length; at += STEP_BYTES) {
    const step = insns.subarray(at, at + STEP_BYTES);
    const pages = Array.from({ length: Math.ceil(step.length / PAGE_BYTES) }, (_, i) =>
      step.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
    );
    await run(unrecorded(call), "prog_stage", draft, at / PAGE_BYTES, ...pages);
  }
}
