import type { Child } from "./child.ts";
import type { Fixture } from "./fixture.ts";
import { heading, say } from "./report.ts";
import { FILTERS, GLOBALS, POLICIES, type ProgramIds, TC_ACT_OK, TC_ACT_SHOT } from "./tc.ts";

/**
 * Kernel commit c9da161c65, "bpf: fix clearing on persistent program array maps": only the last user
 * reference, fd or pin, empties a program array. Before that commit, every close of an fd did.
 */

const CHAIN = "ingress > classify_2 > verdict_2";

async function closeFlushesNothing(fixture: Fixture, ids: ProgramIds): Promise<void> {
  heading("6. Closing an fd of a pinned program array flushes nothing");
  const { maps, progs } = ids;
  const before = "refcnt 6, usercnt 2, filled 3";
  await fixture.map("jmp_tc (pin, control, 4 programs)", maps.jmp_tc, before);
  const observer = fixture.start("observer");
  const slot = await observer.receive<{ id: number }>("slot");
  fixture.claims.claim(`program ${slot.id} is classify_2`, slot.id === progs.classify_2);
  await fixture.map("jmp_tc (and the observer)", maps.jmp_tc, "refcnt 7, usercnt 3, filled 3");
  observer.send("close");
  await observer.receive("closed");
  await fixture.map("jmp_tc, nothing flushed", maps.jmp_tc, before);
  await fixture.packet(ids, "ipv6", CHAIN, TC_ACT_SHOT);
  await observer.leave();
}

async function unlink({ monitor }: Fixture, path: string): Promise<void> {
  await monitor.unlink(path);
  say("monitor", "unlink", path);
}

async function flush(fixture: Fixture, ids: ProgramIds, control: Child): Promise<void> {
  heading("7. The last user goes and the array is flushed, although programs still hold it");
  const { maps, progs } = ids;
  await unlink(fixture, POLICIES);
  for (const name of ["allow", "deny", "classify_1"] as const) {
    await fixture.prog(`${name}, in no slot`, progs[name], "gone");
  }
  await fixture.prog("classify_2 (slot)", progs.classify_2, "refcnt 1");
  await unlink(fixture, `${GLOBALS}/jmp_tc`);
  await fixture.map(
    "jmp_tc (control, 2 filters, classify_2)",
    maps.jmp_tc,
    "refcnt 4, usercnt 1, filled 3",
  );
  await fixture.packet(ids, "ipv6", CHAIN, TC_ACT_SHOT);
  await control.leave();
  await fixture.map("jmp_tc (2 filters)", maps.jmp_tc, "refcnt 2, usercnt 0, filled 0");
  await fixture.prog("classify_2, in a cycle with jmp_tc", progs.classify_2, "gone");
  await fixture.packet(ids, "ipv6", "ingress", TC_ACT_OK);
}

async function free(fixture: Fixture, { maps, progs }: ProgramIds): Promise<void> {
  heading("8. The filters go, and so do the objects that only they held");
  await unlink(fixture, FILTERS);
  await fixture.prog("ingress", progs.ingress, "gone");
  await fixture.map("jmp_tc", maps.jmp_tc, "gone");
  await fixture.map("map_sh (pin)", maps.map_sh, "refcnt 1, usercnt 1");
  await unlink(fixture, "/tc");
  await fixture.map("map_sh", maps.map_sh, "gone");
}

export async function onlyTheLastUserFlushes(
  fixture: Fixture,
  ids: ProgramIds,
  control: Child,
): Promise<void> {
  await closeFlushesNothing(fixture, ids);
  await flush(fixture, ids, control);
  await free(fixture, ids);
}
