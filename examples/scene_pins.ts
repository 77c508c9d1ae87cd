import type { Child } from "./child.ts";
import type { BpfError } from "./client.ts";
import { heading, say } from "./report.ts";
import type { Stage } from "./stage.ts";

/**
 * Kernel commit b2197755b2, "bpf: add support for persistent maps/progs": pinned maps outlive the
 * process that made them, and other processes fetch them by path.
 */

interface Ids {
  token: string;
  map_sh: number;
  jmp_tc: number;
  scratch: number;
  allow: number;
  dispatch: number;
}

async function load(stage: Stage): Promise<Ids> {
  heading("1. A loader makes maps and programs, pins two maps under /tc/globals, and dies");
  const loader = stage.start("loader");
  const ids = await loader.hear<Ids>();
  await stage.counts("map_sh (fd, pin)", ids.map_sh, { refcnt: 2, usercnt: 2 });
  await stage.counts("jmp_tc (fd, pin, dispatch)", ids.jmp_tc, {
    refcnt: 3,
    usercnt: 2,
    filled: 2,
  });
  await stage.counts("scratch (fd)", ids.scratch, { refcnt: 1, usercnt: 1 });
  loader.tell("die");
  const [, signal] = await loader.ended;
  stage.claims.claim("the loader was killed by SIGKILL", signal === "SIGKILL");
  return ids;
}

async function expire(stage: Stage, ids: Ids): Promise<void> {
  const died = Date.now();
  await stage.untilEnded("loader");
  const seconds = ((Date.now() - died) / 1000).toFixed(1);
  say("observer", "session_list", `the loader's session ended ${seconds} s after its process`);
  const reason = await stage
    .as(ids.token)
    .call("GET", "/v1/session")
    .catch((error: BpfError) => error.problem?.reason);
  stage.claims.claim("it ended because nobody renewed it: expired", reason === "expired");
  await stage.counts("scratch", ids.scratch, "gone");
  await stage.counts("map_sh (pin)", ids.map_sh, { refcnt: 1, usercnt: 1 });
  await stage.counts("jmp_tc (pin, dispatch)", ids.jmp_tc, { refcnt: 2, usercnt: 1, filled: 2 });
}

async function untilBothSee(workers: Child[], id: number): Promise<void> {
  for (const worker of workers) {
    for (;;) if ((await worker.hear<{ saw: number }>()).saw === id) break;
  }
}

/** @returns the id of the program that control put into slot 0. */
async function swap(stage: Stage, ids: Ids, workers: Child[]): Promise<number> {
  heading("3. A control process swaps the program in slot 0 while they run");
  const control = stage.start("control");
  const { deny } = await control.hear<{ deny: number }>();
  await stage.counts("jmp_tc (and control)", ids.jmp_tc, { refcnt: 5, usercnt: 4, filled: 2 });
  for (const worker of workers) worker.tell("run");
  await untilBothSee(workers, ids.allow);
  control.tell("swap");
  await control.hear();
  await untilBothSee(workers, deny);
  await control.leave();
  await stage.counts("jmp_tc", ids.jmp_tc, { refcnt: 4, usercnt: 3, filled: 2 });
  stage.claims.claim("allow is freed: no slot, no fd", !(await stage.prog(ids.allow)));
  stage.claims.claim("deny lives in its slot: refcnt 1", (await stage.prog(deny))?.refcnt === 1);
  return deny;
}

async function count(stage: Stage, ids: Ids, deny: number, workers: Child[]): Promise<void> {
  for (const worker of workers) worker.tell("stop");
  const counted: number[] = [];
  for (const worker of workers) {
    const ran = await worker.hear<{ counted: number; looks: [number, number][] }>();
    counted.push(ran.counted);
    const looks = new Map(ran.looks);
    const [atAllow = 0, atDeny = 0] = [looks.get(ids.allow), looks.get(deny)];
    const only = atAllow > 0 && atDeny > 0 && atAllow + atDeny === ran.counted;
    stage.claims.claim(
      `slot 0 was allow at ${atAllow} looks, deny at ${atDeny}, nothing else`,
      only,
    );
  }
  for (const worker of workers) worker.tell("read");
  for (const [i, worker] of workers.entries()) {
    const read = await worker.hear<{ mine: number; other: number }>();
    const right = read.mine === counted[i] && read.other === counted[1 - i];
    const who = i === 0 ? "ingress" : "egress";
    stage.claims.claim(`${who} reads ${read.mine} and ${read.other}: no increment is lost`, right);
  }
}

async function release(stage: Stage, ids: Ids, deny: number, workers: Child[]): Promise<void> {
  heading("4. The pins go, then the processes: the array is flushed, then freed");
  const { observer, claims } = stage;
  const { fd } = await observer.open({ prog_id: ids.dispatch });
  say("observer", "BPF_PROG_GET_FD_BY_ID", "holds dispatch, to tell the flush from the free");
  await observer.unlink("/tc/globals/map_sh");
  await observer.unlink("/tc/globals/jmp_tc");
  say("observer", "unlink", "/tc/globals/map_sh, /tc/globals/jmp_tc");
  await stage.counts("map_sh (two fds)", ids.map_sh, { refcnt: 2, usercnt: 2 });
  await stage.counts("jmp_tc (two fds, dispatch)", ids.jmp_tc, {
    refcnt: 3,
    usercnt: 2,
    filled: 2,
  });
  const [ingress, egress] = workers;
  await egress?.leave();
  await stage.counts("map_sh (fd)", ids.map_sh, { refcnt: 1, usercnt: 1 });
  await stage.counts("jmp_tc (fd, dispatch)", ids.jmp_tc, { refcnt: 2, usercnt: 1, filled: 2 });
  await ingress?.leave();
  await stage.counts("map_sh", ids.map_sh, "gone");
  await stage.counts("jmp_tc, flushed (dispatch)", ids.jmp_tc, {
    refcnt: 1,
    usercnt: 0,
    filled: 0,
  });
  claims.claim("deny is freed with its slot", !(await stage.prog(deny)));
  await observer.close(fd);
  say("observer", "close", "its fd on dispatch");
  claims.claim("dispatch is freed", !(await stage.prog(ids.dispatch)));
  await stage.counts("jmp_tc, which only dispatch held", ids.jmp_tc, "gone");
}

export async function pinsOutliveTheirMaker(stage: Stage): Promise<void> {
  const ids = await load(stage);
  await expire(stage, ids);
  heading("2. An ingress and an egress process fetch the maps by path");
  const workers = [stage.start("worker", "ingress"), stage.start("worker", "egress")];
  for (const worker of workers) await worker.hear();
  await stage.counts("map_sh (pin, two fds)", ids.map_sh, { refcnt: 3, usercnt: 3 });
  const both = { refcnt: 4, usercnt: 3, filled: 2 };
  await stage.counts("jmp_tc (pin, two fds, dispatch)", ids.jmp_tc, both);
  const deny = await swap(stage, ids, workers);
  await count(stage, ids, deny, workers);
  await release(stage, ids, deny, workers);
}
