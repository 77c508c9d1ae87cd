import type { BpfError } from "./client.ts";
import type { Fixture } from "./fixture.ts";
import { heading, say } from "./report.ts";
import type { ProgramIds } from "./tc.ts";

/**
 * Kernel commit b2197755b2, "bpf: add support for persistent maps/progs": a pinned object outlives
 * the process that made it.
 */

interface PinnedObjects {
  token: string;
  scratch: number;
  ids: ProgramIds;
}

async function load(fixture: Fixture): Promise<PinnedObjects> {
  heading("1. A loader posts two object files, pins what is in them, and dies");
  const loader = fixture.start("loader");
  const made = await loader.receive<PinnedObjects>("made");
  const { maps } = made.ids;
  await fixture.map("map_sh (fd, pin, 2 filters)", maps.map_sh, "refcnt 4, usercnt 2");
  await fixture.map(
    "jmp_tc (2 fds, pin, 2 filters, 2 classifiers)",
    maps.jmp_tc,
    "refcnt 7, usercnt 3, filled 1",
  );
  await fixture.map("scratch (fd)", made.scratch, "refcnt 1, usercnt 1");
  loader.send("die");
  const [, signal] = await loader.ended;
  fixture.claims.claim("the loader was killed by SIGKILL", signal === "SIGKILL");
  return made;
}

async function expire(fixture: Fixture, { token, scratch, ids }: PinnedObjects): Promise<void> {
  const died = Date.now();
  await fixture.untilEnded("loader");
  const seconds = ((Date.now() - died) / 1000).toFixed(1);
  say("monitor", "session_list", `the loader's session ended ${seconds} s after its process`);
  const reason = await fixture
    .as(token)
    .call("GET", "/v1/session")
    .catch((error: BpfError) => error.problem?.reason);
  fixture.claims.claim("it ended because nobody renewed it: expired", reason === "expired");
  await fixture.map("scratch", scratch, "gone");
  await fixture.map("map_sh (pin, 2 filters)", ids.maps.map_sh, "refcnt 3, usercnt 1");
  await fixture.map(
    "jmp_tc (pin, 2 filters, 2 classifiers)",
    ids.maps.jmp_tc,
    "refcnt 5, usercnt 1, filled 1",
  );
  await fixture.prog("ingress (pin)", ids.progs.ingress, "refcnt 1");
  await fixture.prog("allow (pin, slot)", ids.progs.allow, "refcnt 2");
}

export async function pinsOutliveTheirMaker(fixture: Fixture): Promise<ProgramIds> {
  const made = await load(fixture);
  await expire(fixture, made);
  return made.ids;
}
