import type { Child } from "./child.ts";
import type { Stage } from "./fixture.ts";
import { type Claims, heading, say } from "./report.ts";
import {
  type Counter,
  type ForwardOutcome,
  GLOBALS,
  PACKETS,
  type PacketCounts,
  type ProgramIds,
  route,
  TC_ACT_OK,
  TC_ACT_SHOT,
  TORN,
} from "./tc.ts";

/** Tail calls through an array that is changed meanwhile: a packet goes through one chain, whole. */

const DIRECTIONS = ["ingress", "egress"] as const;
/** Where a packet may go, by the mark that it has at the end. */
const POLICIES = ["allow", "classify_1 > verdict_1", "classify_2 > verdict_2"];
const CHAINS = `${GLOBALS}/chains`;

/** Waits until packets of each worker go to this policy. */
async function untilMet(ids: ProgramIds, workers: Child[], policy: string): Promise<void> {
  for (const [i, worker] of workers.entries()) {
    const wanted = `${DIRECTIONS[i]} > ${policy}`;
    while (route(ids, await worker.hear<number[]>("met")) !== wanted);
    say(DIRECTIONS[i] ?? "", "BPF_PROG_TEST_RUN", `packets go ${wanted}`);
  }
}

/** The second chain passes IPv4 only, everything else passes all. */
function isRight({ protocol, retval, mark, stamp }: ForwardOutcome, generation: number): boolean {
  const passes = generation < 2 || protocol === "ipv4";
  const verdict = passes ? TC_ACT_OK : TC_ACT_SHOT;
  return retval === verdict && mark === generation && stamp === generation;
}

const sum = (tallies: PacketCounts[]) => tallies.reduce((all, { packets }) => all + packets, 0);

/** Claims that each policy had packets, each packet one policy, and what that gives. */
export function judge(claims: Claims, ids: ProgramIds, who: string, tallies: PacketCounts[]): void {
  const by = POLICIES.map((policy) =>
    tallies.filter(({ programs }) => route(ids, programs) === `${who} > ${policy}`),
  );
  const packets = by.map(sum);
  const list = POLICIES.map((policy, i) => `${packets[i]} to ${policy}`).join(", ");
  const whole = packets.every((some) => some > 0) && sum(by.flat()) === sum(tallies);
  claims.claim(`${who}: ${list}; none elsewhere`, whole);
  const right = by.every((some, i) => some.every((outcome) => isRight(outcome, i)));
  claims.claim(`${who}: each has the verdict and the mark of its own chain, none is torn`, right);
}

async function swap(
  stage: Stage,
  ids: ProgramIds,
  workers: Child[],
  control: Child,
): Promise<void> {
  heading("3. A control process swaps the policy, a chain of two programs, under their load");
  const { maps } = ids;
  await stage.map(
    "jmp_tc (pin, control, 4 programs)",
    maps.jmp_tc,
    "refcnt 6, usercnt 2, filled 1",
  );
  control.tell("first");
  await control.hear("swaps");
  await untilMet(ids, workers, "classify_1 > verdict_1");
  control.tell("swap");
  await control.hear("swaps");
  await untilMet(ids, workers, "classify_2 > verdict_2");
  await stage.map("jmp_tc", maps.jmp_tc, "refcnt 6, usercnt 2, filled 3");
}

async function account(stage: Stage, ids: ProgramIds, workers: Child[]): Promise<PacketCounts[][]> {
  for (const worker of workers) worker.tell("stop");
  const all: PacketCounts[][] = [];
  for (const [i, worker] of workers.entries()) {
    const tallies = await worker.hear<PacketCounts[]>("tallies");
    judge(stage.claims, ids, DIRECTIONS[i] ?? "", tallies);
    all.push(tallies);
  }
  const marked = [1, 2].map((mark) => sum(all.flat().filter((tally) => tally.mark === mark)));
  const chains = [0, 1, 2].map((key) => stage.read<number>(CHAINS, `u32:${key}`));
  const [torn, ...counted] = await Promise.all(chains);
  const right = torn === 0 && String(counted) === String(marked);
  stage.claims.claim(`chains counts ${counted.join(" and ")} packets, ${torn} torn`, right);
  return all;
}

const counter = (tallies: PacketCounts[]): Counter => ({
  packets: sum(tallies),
  bytes: tallies.reduce((all, of) => all + of.packets * PACKETS[of.protocol].length, 0),
});

async function share(stage: Stage, workers: Child[], tallies: PacketCounts[][]): Promise<void> {
  heading("4. They share counters, read as JSON by the types that the object file has of them");
  const wanted = tallies.map(counter);
  for (const [i, worker] of workers.entries()) {
    worker.tell("read");
    const counters = await worker.hear<Counter[]>("counters");
    const text = JSON.stringify(counters);
    const right = text === JSON.stringify(wanted);
    stage.claims.claim(`${DIRECTIONS[i]} reads ${text}: no packet is lost`, right);
    await worker.leave();
  }
  const both = await stage.read<number>(`${GLOBALS}/map_sh`, "u32:0");
  const all = sum(tallies.flat());
  stage.claims.claim(`map_sh counts ${both} packets in both directions`, both === all);
}

async function tear(stage: Stage, ids: ProgramIds, control: Child): Promise<void> {
  heading("5. The check can fail: a chain torn on purpose");
  control.tell("tear");
  await control.hear("torn");
  await stage.packet(ids, "ipv4", "ingress > classify_2 > verdict_1", TORN);
  const torn = await stage.read<number>(CHAINS, "u32:0");
  stage.claims.claim(`chains counts ${torn} torn packet`, torn === 1);
  control.tell("mend");
  await control.hear("mended");
  await stage.packet(ids, "ipv4", "ingress > classify_2 > verdict_2", TC_ACT_OK);
}

/** @returns the control process, which has an fd on jmp_tc. */
export async function swapUnderLoad(stage: Stage, ids: ProgramIds): Promise<Child> {
  heading("2. An ingress and an egress process send packets through the pinned programs");
  const workers = DIRECTIONS.map((who) => stage.start("worker", who));
  const control = stage.start("control");
  for (const child of [...workers, control]) await child.hear("opened");
  await stage.map(
    "counters (pin, 2 filters, ingress, egress)",
    ids.maps.counters,
    "refcnt 5, usercnt 3",
  );
  for (const worker of workers) worker.tell("send");
  await untilMet(ids, workers, "allow");
  await swap(stage, ids, workers, control);
  const tallies = await account(stage, ids, workers);
  await share(stage, workers, tallies);
  await tear(stage, ids, control);
  return control;
}
