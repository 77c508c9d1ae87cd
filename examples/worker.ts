import { awaitOrder, join, leave, report } from "./participant.ts";
import { say } from "./report.ts";
import {
  type Counter,
  FILTERS,
  type ForwardOutcome,
  GLOBALS,
  PACKETS,
  type Protocol,
} from "./tc.ts";

/** The ingress or egress process: sends packets through its pinned program and reads the shared counters. */

const PARALLEL = 2;
const who = process.argv[2] === "egress" ? "egress" : "ingress";
const worker = await join(who);
const path = `${FILTERS}/${who}`;
const counters = await worker.open(`${GLOBALS}/counters`);
say(who, "BPF_OBJ_GET", `${GLOBALS}/counters: fd ${counters.fd}`);

async function packet(protocol: Protocol): Promise<ForwardOutcome> {
  const { retval, ctx_out, programs } = await worker.run(path, PACKETS[protocol]);
  return { protocol, retval, mark: ctx_out.mark, stamp: ctx_out.cb[0] ?? -1, programs };
}

let stopped = false;
const outcomes = new Map<string, number>();
const routes = new Set<string>();

async function keepSending(): Promise<void> {
  for (let sent = 0; !stopped; sent++) {
    const outcome = await packet(sent % 2 ? "ipv6" : "ipv4");
    const { programs } = outcome;
    if (!routes.has(String(programs))) report({ route: programs });
    routes.add(String(programs));
    const text = JSON.stringify(outcome);
    outcomes.set(text, (outcomes.get(text) ?? 0) + 1);
  }
}

report({ opened: true });
await awaitOrder("send");
const lanes = Array.from({ length: PARALLEL }, keepSending);
await awaitOrder("stop");
stopped = true;
await Promise.all(lanes);
const tallies = [...outcomes].map(([text, packets]) => ({ ...JSON.parse(text), packets }));
report({ tallies });

await awaitOrder("read");
const read = (key: string) => worker.lookupJson<Counter>(counters.fd, key);
report({ counters: [await read("u32:0"), await read("u32:1")] });
await awaitOrder("exit");
say(who, "exit", "its fd is closed");
await leave(worker);
