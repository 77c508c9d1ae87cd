import { join, leave, order, tell } from "./participant.ts";
import { say } from "./report.ts";
import {
  type Counter,
  FILTERS,
  type ForwardOutcome,
  GLOBALS,
  PACKETS,
  type Protocol,
} from "./tc.ts";

/** The ingress or the egress side: sends packets through its pinned program and reads the shared counters. */

const AT_ONCE = 2;
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
const seen = new Map<string, number>();
const met = new Set<string>();

async function keepSending(): Promise<void> {
  for (let sent = 0; !stopped; sent++) {
    const outcome = await packet(sent % 2 ? "ipv6" : "ipv4");
    const { programs } = outcome;
    if (!met.has(String(programs))) tell({ met: programs });
    met.add(String(programs));
    const text = JSON.stringify(outcome);
    seen.set(text, (seen.get(text) ?? 0) + 1);
  }
}

tell({ opened: true });
await order("send");
const lanes = Array.from({ length: AT_ONCE }, keepSending);
await order("stop");
stopped = true;
await Promise.all(lanes);
const tallies = [...seen].map(([text, packets]) => ({ ...JSON.parse(text), packets }));
tell({ tallies });

await order("read");
const read = (key: string) => worker.lookupJson<Counter>(counters.fd, key);
tell({ counters: [await read("u32:0"), await read("u32:1")] });
await order("exit");
say(who, "exit", "its fd is closed");
await leave(worker);
