import { HELPER_ROWS } from "../../isa/helpers/index.ts";
import { calleeOf, type Insn, isHelperCall, isPseudoCall } from "../../isa/insn.ts";

/** The functions that may move a packet, by themselves or by what they call (changes_pkt_data). */

/** @param starts the first instructions of all functions, ascending. */
export function packetChangers(prog: readonly Insn[], starts: readonly number[]): Set<number> {
  const first = new Set(starts);
  const callers = new Map<number, number[]>();
  const pending: number[] = [];
  let current = 0;
  for (const [at, insn] of prog.entries()) {
    if (first.has(at)) current = at;
    if (isPseudoCall(insn)) {
      const callee = calleeOf(insn, at);
      const known = callers.get(callee) ?? [];
      known.push(current);
      callers.set(callee, known);
    }
    if (isHelperCall(insn) && HELPER_ROWS[insn.imm]?.changesPacket === true) pending.push(current);
  }
  const changers = new Set<number>();
  for (let func = pending.pop(); func !== undefined; func = pending.pop()) {
    if (changers.has(func)) continue;
    changers.add(func);
    pending.push(...(callers.get(func) ?? []));
  }
  return changers;
}
