import "./btf_actions.ts";
import { skipReason } from "./skip_reasons.ts";
import type { Player, TraceOutcome, TraceStep } from "./trace.ts";
import { actions } from "./trace_actions.ts";

/** Replays one step and compares the answer with the one that Linux gave. */

export async function replay(player: Player, step: TraceStep): Promise<TraceOutcome> {
  const skipped = skipReason(player, step);
  if (skipped) {
    player.skip(step.proc ?? "observer", step.as);
    return { skipped };
  }
  const act = actions[step.op];
  if (!act) throw new Error(`the trace has an unknown op: ${step.op}`);
  const got = await act(player, step, step.proc ?? "observer");
  return same(got, step.result) ? { agrees: true } : { agrees: false, got };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([key, item]) => [key, sorted(item)]));
}
