import { cpus, loadavg } from "node:os";
import type { FaultResult, FaultScenario } from "./scenario.ts";

/** The text of docs/faults.md, which a full run writes. */

export const FAULTS_DOCUMENT = "docs/faults.md";

export const FAULT_HEAD = [
  "| fault | hits | operations | result | figures |",
  "|---|---|---|---|---|",
];

const ETCD = "https://etcd.io/docs/v3.6/learning";
const JEPSEN = "[Jepsen, 2020](https://jepsen.io/analyses/etcd-3.4.3)";
const CONSUL = "https://developer.hashicorp.com/consul/docs/automate/session";
const REAPER = "https://github.com/hashicorp/consul/blob/main/agent/consul/session_ttl.go";
const REDIS = "https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/";

/** What others publish about the same promises, with the place where it stands. */
const PUBLISHED: readonly (readonly [who: string, what: string, source: string])[] = [
  [
    "etcd",
    "a lease ends by the wall clock within its TTL and 1 s; after a change of leader it has its full TTL again",
    `[lock and lease](${ETCD}/why/), [issue 15247](https://github.com/etcd-io/etcd/issues/15247)`,
  ],
  [
    "etcd 3.4.3",
    "reads, writes and transactions are strict serializable under pauses, kills, clock skew and partitions",
    JEPSEN,
  ],
  [
    "etcd 3.4.3",
    "locks with a lease of 2 s and a pause every 5 s lose about 18 % of the acknowledged updates",
    JEPSEN,
  ],
  [
    "etcd",
    "its robustness tests need at least 100 requests a second before a fault, or the run is void",
    "[tests/robustness](https://github.com/etcd-io/etcd/tree/main/tests/robustness)",
  ],
  [
    "Consul",
    "the TTL of a session, 10 s to a day, is a lower bound and starts anew after a change of leader",
    `[sessions](${CONSUL})`,
  ],
  [
    "Consul",
    "an invalidation is tried 6 times and then waits for the next leader",
    `[session_ttl.go](${REAPER})`,
  ],
  [
    "Redis",
    "a failover loses acknowledged writes: 114 in the example of the cluster tutorial",
    `[scaling](${REDIS})`,
  ],
  [
    "this service",
    "a session ends between its TTL and TTL + 10 % + 1 s; while Redis or all replicas stand still, no time passes",
    "the table above",
  ],
];
const PUBLISHED_TABLE = [
  "| who | promise or figure | source |",
  "|---|---|---|",
  ...PUBLISHED.map((cells) => `| ${cells.join(" | ")} |`),
].join("\n");

export function faultRow({ scenario, hits, operations, verdict, figures }: FaultResult): string {
  return `| ${[scenario.fault, hits, operations, verdict, figures].join(" | ")} |`;
}

/** The rows of a report, each without its marks. */
export function faultRows(text: string): string[][] {
  const [, table = ""] = text.split(`${FAULT_HEAD.join("\n")}\n`);
  const lines = (table.split("\n\n")[0] ?? "").split("\n");
  return lines.filter(Boolean).map((line) => line.slice(2, -2).split(" | "));
}

/** The report with the rows of these results; the rows of other scenarios stay as they are in `text`. */
export function faultReport(
  results: readonly FaultResult[],
  scenarios: readonly FaultScenario[],
  text: string,
): string {
  const [cpu] = cpus();
  const [, , load = 0] = loadavg();
  const before = faultRows(text);
  const rows = scenarios.flatMap(({ fault }) => {
    const result = results.find(({ scenario }) => scenario.fault === fault);
    const row = before.find(([name]) => name === fault);
    if (result) return [faultRow(result)];
    return row ? [`| ${row.join(" | ")} |`] : [];
  });
  return `# Faults

\`npm run test:faults\` wrote this page; do not edit it. It starts real redis-servers, clusters and replicas of the
service, hits each fault while requests run, and then checks that every kind of request works within 5 seconds, that
every count equals its holders, that nothing acknowledged is lost or done twice, that no living session ended, that no
answer was a 5xx but 503, and that only counters are left in Redis. A run that hit a fault too seldom is void.

The last run was on ${new Date().toISOString().slice(0, 10)}, with Node ${process.versions.node} on \
${cpus().length} x ${cpu?.model ?? "an unknown CPU"}.
The load average of its last 15 minutes was ${load.toFixed(0)}; a scenario alone makes about 3.

${[...FAULT_HEAD, ...rows].join("\n")}

Operations are requests that succeeded. A request that met a fault got 503: \`unavailable\` when it was surely not done,
\`outcome-unknown\` when it may have been done; an Idempotency-Key makes the second one safe to repeat. See
[retries](operations.md#retries).

## What others publish

${PUBLISHED_TABLE}
`;
}
