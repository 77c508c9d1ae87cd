import type { Child } from "./child.ts";
import type { Stage } from "./fixture.ts";
import { heading, say } from "./report.ts";
import { FILTERS, GLOBALS, POLICIES, type ProgramIds, TC_ACT_OK, TC_ACT_SHOT } from "./tc.ts";

/**
 * Kernel commit c9da161c65, "bpf: fix clearing on persistent program array maps": only the last user
 * reference, fd or pin, empties a program array. Before it, any close of any fd did.
 */

const CHAIN = "ingress > classify_2 > verdict_2";

async function closeFlushesNothing(stage: Stage, ids: ProgramIds): Promise<void> {
  heading("6. Closing an fd of a pinned program array flushes nothing");
  const { maps, progs } = ids;
  const before = "refcnt 6, usercnt 2, filled 3";
  await stage.map("jmp_tc (pin, control, 4 programs)", maps.jmp_tc, before);
  const visitor = stage.start("visitor");
  const slot = await visitor.hear<{ id: number }>("slot");
  stage.claims.claim(`program ${slot.id} is classify_2`, slot.id === progs.classify_2);
  await stage.map("jmp_tc (and the visitor)", maps.jmp_tc, "refcnt 7, usercnt 3, filled 3");
  visitor.tell("close");
  await visitor.hear("closed");
  await stage.map("jmp_tc, nothing flushed", maps.jmp_tc, before);
  await stage.packet(ids, "ipv6", CHAIN, TC_ACT_SHOT);
  await visitor.leave();
}

async function unlink({ observer }: Stage, path: string): Promise<void> {
  await observer.unlink(path);
  say("observer", "unlink", path);
}

async function flush(stage: Stage, ids: ProgramIds, control: Child): Promise<void> {
  heading("7. The last user's going flushes it, though programs hold it still");
  const { maps, progs } = ids;
  await unlink(stage, POLICIES);
  for (const name of ["allow", "deny", "classify_1"] as const) {
    await stage.prog(`${name}, in no slot`, progs[name], "gone");
  }
  await stage.prog("classify_2 (slot)", progs.classify_2, "refcnt 1");
  await unlink(stage, `${GLOBALS}/jmp_tc`);
  await stage.map(
    "jmp_tc (control, 2 filters, classify_2)",
    maps.jmp_tc,
    "refcnt 4, usercnt 1, filled 3",
  );
  await stage.packet(ids, "ipv6", CHAIN, TC_ACT_SHOT);
  await control.leave();
  await stage.map("jmp_tc (2 filters)", maps.jmp_tc, "refcnt 2, usercnt 0, filled 0");
  await stage.prog("classify_2, which jmp_tc held and which held jmp_tc", progs.classify_2, "gone");
  await stage.packet(ids, "ipv6", "ingress", TC_ACT_OK);
}

async function free(stage: Stage, { maps, progs }: ProgramIds): Promise<void> {
  heading("8. The filters go, and with them what only they held");
  await unlink(stage, FILTERS);
  await stage.prog("ingress", progs.ingress, "gone");
  await stage.map("jmp_tc", maps.jmp_tc, "gone");
  await stage.map("map_sh (pin)", maps.map_sh, "refcnt 1, usercnt 1");
  await unlink(stage, "/tc");
  await stage.map("map_sh", maps.map_sh, "gone");
}

export async function onlyTheLastUserFlushes(
  stage: Stage,
  ids: ProgramIds,
  control: Child,
): Promise<void> {
  await closeFlushesNothing(stage, ids);
  await flush(stage, ids, control);
  await free(stage, ids);
}
