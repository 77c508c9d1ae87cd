import type { Child } from "./child.ts";
import type { Fixture } from "./fixture.ts";
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

/** Tail calls through an array while it changes: each packet goes through one chain as a whole. */

const DIRECTIONS = ["ingress", "egress"] as const;
/** The routes of packets; the index is the mark that a packet has at the end. */
const POLICIES = ["allow", "classify_1 > verdict_1", "classify_2 > verdict_2"];
const CHAINS = `${GLOBALS}/chains`;

/** Waits until packets of each worker go to this policy. */
async function waitForRoute(ids: ProgramIds, workers: Child[], policy: string): Promise<void> {
  for (const [i, worker] of workers.entries()) {
    const wanted = `${DIRECTIONS[i]} > ${policy}`;
    while (route(ids, await worker.receive<number[]>("route")) !== wanted);
    say(DIRECTIONS[i] ?? "", "BPF_PROG_TEST_RUN", `packets go ${wanted}`);
  }
}

/** The second chain passes IPv4 only; the first one and no chain pass all packets. */
function isRight({ protocol, retval, mark, stamp }: ForwardOutcome, generation: number): boolean {
  const passes = generation < 2 || protocol === "ipv4";
  const verdict = passes ? TC_ACT_OK : TC_ACT_SHOT;
  return retval === verdict && mark === generation && stamp === generation;
}

const sum = (tallies: PacketCounts[]) => tallies.reduce((all, { packets }) => all + packets, 0);

/** Claims that each policy had packets, and that each packet has the verdict and mark of one policy. */
export function checkPackets(
  claims: Claims,
  ids: ProgramIds,
  who: string,
  tallies: PacketCounts[],
): void {
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
  fixture: Fixture,
  ids: ProgramIds,
  workers: Child[],
  control: Child,
): Promise<void> {
  heading("3. A control process swaps the policy, a chain of two programs, under their load");
  const { maps } = ids;
  await fixture.map(
    "jmp_tc (pin, control, 4 programs)",
    maps.jmp_tc,
    "refcnt 6, usercnt 2, filled 1",
  );
  control.send("first");
  await control.receive("swaps");
  await waitForRoute(ids, workers, "classify_1 > verdict_1");
  control.send("swap");
  await control.receive("swaps");
  await waitForRoute(ids, workers, "classify_2 > verdict_2");
  await fixture.map("jmp_tc", maps.jmp_tc, "refcnt 6, usercnt 2, filled 3");
}

async function account(
  fixture: Fixture,
  ids: ProgramIds,
  workers: Child[],
): Promise<PacketCounts[][]> {
  for (const worker of workers) worker.send("stop");
  const all: PacketCounts[][] = [];
  for (const [i, worker] of workers.entries()) {
    const tallies = await worker.receive<PacketCounts[]>("tallies");
    checkPackets(fixture.claims, ids, DIRECTIONS[i] ?? "", tallies);
    all.push(tallies);
  }
  const marked = [1, 2].map((mark) => sum(all.flat().filter((tally) => tally.mark === mark)));
  const chains = [0, 1, 2].map((key) => fixture.read<number>(CHAINS, `u32:${key}`));
  const [torn, ...counted] = await Promise.all(chains);
  const right = torn === 0 && String(counted) === String(marked);
  fixture.claims.claim(`chains counts ${counted.join(" and ")} packets, ${torn} torn`, right);
  return all;
}

const counter = (tallies: PacketCounts[]): Counter => ({
  packets: sum(tallies),
  bytes: tallies.reduce((all, of) => all + of.packets * PACKETS[of.protocol].length, 0),
});

async function share(fixture: Fixture, workers: Child[], tallies: PacketCounts[][]): Promise<void> {
  heading("4. They share counters, read as JSON by the types that the object file has of them");
  const wanted = tallies.map(counter);
  for (const [i, worker] of workers.entries()) {
    worker.send("read");
    const counters = await worker.receive<Counter[]>("counters");
    const text = JSON.stringify(counters);
    const right = text === JSON.stringify(wanted);
    fixture.claims.claim(`${DIRECTIONS[i]} reads ${text}: no packet is lost`, right);
    await worker.leave();
  }
  const both = await fixture.read<number>(`${GLOBALS}/map_sh`, "u32:0");
  const all = sum(tallies.flat());
  fixture.claims.claim(`map_sh counts ${both} packets in both directions`, both === all);
}

async function tear(fixture: Fixture, ids: ProgramIds, control: Child): Promise<void> {
  heading("5. The check can fail: the control process tears a chain on purpose");
  control.send("tear");
  await control.receive("torn");
  await fixture.packet(ids, "ipv4", "ingress > classify_2 > verdict_1", TORN);
  const torn = await fixture.read<number>(CHAINS, "u32:0");
  fixture.claims.claim(`chains counts ${torn} torn packet`, torn === 1);
  control.send("mend");
  await control.receive("mended");
  await fixture.packet(ids, "ipv4", "ingress > classify_2 > verdict_2", TC_ACT_OK);
}

/** @returns the control process, which holds an fd of jmp_tc */
export async function swapUnderLoad(fixture: Fixture, ids: ProgramIds): Promise<Child> {
  heading("2. An ingress and an egress process send packets through the pinned programs");
  const workers = DIRECTIONS.map((who) => fixture.start("worker", who));
  const control = fixture.start("control");
  for (const child of [...workers, control]) await child.receive("opened");
  await fixture.map(
    "counters (pin, 2 filters, ingress, egress)",
    ids.maps.counters,
    "refcnt 5, usercnt 3",
  );
  for (const worker of workers) worker.send("send");
  await waitForRoute(ids, workers, "allow");
  await swap(fixture, ids, workers, control);
  const tallies = await account(fixture, ids, workers);
  await share(fixture, workers, tallies);
  await tear(fixture, ids, control);
  return control;
}
