import { Agent, request } from "node:http";
import { startSleepers } from "../asleep.ts";
import { openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import type { FaultForm, FaultScenario } from "../scenario.ts";
import { quietWorld } from "../world.ts";

/** More clients than Redis can serve in time: the rest is refused at once, and renewals get through. */

const FEW = 32;
const MANY = { short: 500, full: 2000 };
const POINT_MS = { short: 3000, full: 10_000 };
/** The goodput of many connections is at least this share of that of few. */
const LEAST_SHARE = 0.9;
const BATCH_SIZE = 500;
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 10_000 };
const keys = Array.from({ length: BATCH_SIZE }, (_, i) => `u32:${i}`);
const BATCH = JSON.stringify({ op: "update", keys, values: keys });
const SLEEPERS = 40;

interface LoadPoint {
  done: number;
  refused: number;
  problems: string[];
}

interface LoadTarget {
  base: string;
  token: string;
}

function sendBatch(
  agent: Agent,
  { base, token }: LoadTarget,
): Promise<[number, string | undefined]> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const options = { method: "POST", agent, headers };
    const sent = request(`${base}/v1/fds/3/batch`, options, (response) => {
      response.resume();
      const retryAfter = response.headers["retry-after"];
      response.on("end", () => resolve([response.statusCode ?? 0, retryAfter]));
    });
    sent.on("error", () => resolve([0, undefined]));
    sent.end(BATCH);
  });
}

/** Each connection sends batches one after another. */
async function loadWith(targets: readonly LoadTarget[], connections: number, ms: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const point: LoadPoint = { done: 0, refused: 0, problems: [] };
  const end = performance.now() + ms;
  const work = async (i: number) => {
    while (performance.now() < end) {
      const target = targets[i % targets.length] as LoadTarget;
      const [status, retryAfter] = await sendBatch(agent, target);
      if (status === 200) point.done += 1;
      else if (status === 503) point.refused += 1;
      else point.problems.push(`status ${status}`);
      if (status === 503 && retryAfter === undefined) point.problems.push("503, no Retry-After");
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, i) => work(i)));
  agent.destroy();
  return point;
}

const overload: FaultScenario = {
  name: "overload",
  fault: "batches from 2,000 connections (short: 500) beside late renewals of other sessions",
  least: { short: { hits: 20, operations: 50 }, full: { hits: 500, operations: 500 } },
  run: (form: FaultForm) =>
    quietWorld(form, async ({ bases }) => {
      const namespaces = newNamespaces(4);
      const targets: LoadTarget[] = [];
      for (const namespace of namespaces) {
        const { client } = await openSession(bases, namespace);
        await client.post("/v1/maps", HASH);
        targets.push({ base: client.base, token: client.token ?? "" });
      }
      const stopSleepers = await startSleepers({
        ...{ bases, namespaces: newNamespaces(4), count: SLEEPERS, ttl: 3000, renewAt: 0.5 },
      });
      const few = await loadWith(targets, FEW, POINT_MS[form]);
      const many = await loadWith(targets, MANY[form], POINT_MS[form]);
      const sleepers = await stopSleepers();
      const share = many.done / few.done;
      const problems = [...few.problems, ...many.problems, ...sleepers.problems];
      if (form === "full" && share < LEAST_SHARE) {
        problems.push(`the goodput fell to ${share.toFixed(2)}`);
      }
      const figures =
        `goodput ${share.toFixed(2)} of that of ${FEW} connections, ${many.refused} x 503, ` +
        `${sleepers.lost} of ${SLEEPERS} sessions lost`;
      return { hits: many.refused, operations: few.done + many.done, figures, problems };
    }),
};

export const OVERLOAD = [overload];
