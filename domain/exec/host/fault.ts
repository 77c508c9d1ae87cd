import { Errno } from "../../errno.ts";
import { disasm } from "../../verifier/disasm.ts";
import { decode } from "../../verifier/insn.ts";
import type { Faulted, ProgramView } from "../job.ts";

/** How a run that cannot go on is told. */

const ERRNO = { memory: "EFAULT", stack: "EFAULT", lock: "EFAULT", budget: "E2BIG" } as const;

function instruction(program: ProgramView | undefined, pc: number): string {
  if (!program?.unit) return "";
  const { insns } = program.unit;
  const two = decode(
    Buffer.from(insns.buffer, insns.byteOffset + 8 * pc, 16 > insns.length - 8 * pc ? 8 : 16),
  );
  return two[0] ? disasm(two[0], two[1]) : "";
}

/** What Linux would have found at load, or refused as too long: with the instruction and its text. */
export function faultOf(fault: Faulted, programs: readonly ProgramView[]): Errno {
  const { reason, program, pc, detail } = fault;
  const text = instruction(
    programs.find(({ id }) => id === program),
    pc,
  );
  return new Errno(ERRNO[reason], `program ${program}, ${pc}: ${text}: ${detail}`, {
    told: { fault: { reason, program, insn: pc, text } },
  });
}
