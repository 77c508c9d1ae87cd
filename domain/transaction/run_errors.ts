import { HELPERS } from "../compiler/abi.ts";
import { Errno } from "../errno.ts";
import { disasm } from "../isa/disasm.ts";
import { helperName, helperOf } from "../isa/helpers/index.ts";
import { decode, INSN_SIZE, type Insn, isHelperCall } from "../isa/insn.ts";
import type { ProgramView, RunFault } from "../runtime/job.ts";

/** Converts the fault of a run into an Errno that names the instruction. */

const ERRNO = { memory: "EFAULT", stack: "EFAULT", lock: "EFAULT", budget: "E2BIG" } as const;
const INLINED_HELPERS: readonly string[] = ["tail_call", "loop"];

/** The instruction at `pc`, and the second half of a ld_imm64. */
function decodeAt(program: ProgramView | undefined, pc: number): Insn[] {
  if (!program?.unit) return [];
  return decode(program.unit.insns.subarray(INSN_SIZE * pc, INSN_SIZE * (pc + 2)));
}

function isUnknownHelper(insn: Insn | undefined): insn is Insn {
  if (insn === undefined || !isHelperCall(insn)) return false;
  const name = helperOf(insn.imm);
  return name === undefined || !(name in HELPERS || INLINED_HELPERS.includes(name));
}

/** ENOTSUPP for a helper that this service does not implement, else the errno of the fault. */
export function faultToErrno(fault: RunFault, programs: readonly ProgramView[]): Errno {
  const { reason, program, pc, detail } = fault;
  const view = programs.find(({ id }) => id === program);
  const [insn, second] = decodeAt(view, pc);
  const text = insn ? disasm(insn, second) : "";
  const place = `program ${program}, ${pc}: ${text}`;
  const location = { program, insn: pc, text };
  if (isUnknownHelper(insn)) {
    const detail = `${helperName(insn.imm)} is not implemented by this service`;
    return new Errno("ENOTSUPP", `${place}: ${detail}`, {
      extensions: { fault: { reason: "helper", ...location } },
    });
  }
  return new Errno(ERRNO[reason], `${place}: ${detail}`, {
    extensions: { fault: { reason, ...location } },
  });
}
