import { HOSTILE_CASES, type HostileRequest } from "../../../bench/hostile_cases.ts";
import { startSleepers } from "../asleep.ts";
import { describeAnswer, type FaultAnswer, type FaultClient, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import type { FaultForm, FaultScenario } from "../scenario.ts";
import { rawConnection, rawHead, rawStatus } from "../slow.ts";
import { quietWorld, type RedisWorld } from "../world.ts";

/** Requests made to hold the service or Redis, beside sessions of others that must live on. */

const SHORT_CASES = /digits|literal parts|nested|LRU|lengths/;
const SLEEPERS = 20;
const HOUR = 3_600_000;
/** us; the slow log has every longer script. */
const LONG_SCRIPT_US = 5000;
const OVERSIZED = 300_000_000;
/** What the service may take of a body that it refuses. */
const MOST_TAKEN = 2 * 2 ** 20;

const answerOf = (client: FaultClient, { method, path, body }: HostileRequest) => {
  const isBytes = Buffer.isBuffer(body);
  const headers = { "content-type": isBytes ? "application/octet-stream" : "application/json" };
  const bytes = body === undefined ? undefined : Buffer.from(body as string);
  return client.send({ method, path, body: bytes, headers, patience: 60_000 });
};

/** ms of the longest script since the last call, or 0 if none took 5. */
async function longestScript({ redis }: RedisWorld): Promise<number> {
  const log = (await redis.call("SLOWLOG", "GET", 1000)) as [number, number, number][];
  await redis.call("SLOWLOG", "RESET");
  return Math.max(0, ...log.map(([, , us]) => us)) / 1000;
}

/** Sends a request a few times. Returns its last answer and the least of its longest scripts. */
async function repeat(world: RedisWorld, times: number, send: () => Promise<FaultAnswer>) {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 1; ; i++) {
    await longestScript(world);
    const answer = await send();
    least = Math.min(least, await longestScript(world));
    if (i === times) return { answer, least };
  }
}

const hostileRequests: FaultScenario = {
  name: "hostile-requests",
  fault: "bodies of many keys, digits, parts and levels, programs and batches made to be slow",
  least: { short: { hits: 10, operations: 20 }, full: { hits: 150, operations: 100 } },
  run: (form: FaultForm) =>
    quietWorld(form, async (world) => {
      const { bases, redis } = world;
      const times = form === "short" ? 1 : 3;
      await redis.call("CONFIG", "SET", "slowlog-log-slower-than", LONG_SCRIPT_US);
      const stopSleepers = await startSleepers({
        ...{ bases, namespaces: newNamespaces(4), count: SLEEPERS, ttl: 2000 },
      });
      const problems: string[] = [];
      let [hits, longest, slowest] = [0, 0, "none"];
      const cases = HOSTILE_CASES.filter(({ name }) => form === "full" || SHORT_CASES.test(name));
      for (const { name, prepare, statuses } of cases) {
        const { client } = await openSession(bases, newNamespaces(1)[0] ?? "", { ttl_ms: HOUR });
        for (const request of await prepare((one) => answerOf(client, one))) {
          const send = () => answerOf(client, request);
          const { answer, least } = await repeat(world, times, send);
          hits += times;
          if (least > longest) [longest, slowest] = [least, name];
          if (statuses.includes(answer.status) || answer.fate === "refused") continue;
          problems.push(`${name}: ${describeAnswer(answer).slice(0, 200)}`);
        }
        await client.del("/v1/session");
      }
      const { lost, renewals, problems: others } = await stopSleepers();
      const figures =
        `the longest script took ${longest.toFixed(1)} ms of wall time (${slowest}); ` +
        `${lost} of ${SLEEPERS} sessions of others lost`;
      return { hits, operations: renewals, figures, problems: [...problems, ...others] };
    }),
};

/** Sends a body that is too large until the answer comes. Returns the status and the bytes sent. */
async function sendOversized(base: string, token: string, more: Record<string, string>) {
  const socket = rawConnection(base);
  const status = rawStatus(socket);
  const headers = {
    ...{ "content-type": "application/json", "content-length": OVERSIZED },
    ...more,
  };
  socket.write(rawHead({ base, token, method: "POST", target: "/v1/maps", headers }));
  let isAnswered = false;
  status.then(() => {
    isAnswered = true;
  });
  const piece = Buffer.alloc(65_536, " ");
  // A client that expects 100 waits for it before it sends.
  while (more.expect === undefined && !isAnswered && socket.bytesWritten < OVERSIZED) {
    await new Promise((resolve) => {
      if (socket.write(piece)) setImmediate(resolve);
      else {
        socket.once("drain", resolve);
        socket.once("close", resolve);
      }
    });
  }
  const answered = await status;
  socket.destroy();
  return { answered, sent: socket.bytesWritten };
}

const oversizedBodies: FaultScenario = {
  name: "oversized-bodies",
  fault: "bodies of 300 MB, sent at once and after Expect: 100-continue",
  least: { short: { hits: 2, operations: 2 }, full: { hits: 20, operations: 20 } },
  run: (form: FaultForm) =>
    quietWorld(form, async ({ bases }) => {
      const { client } = await openSession(bases, newNamespaces(1)[0] ?? "");
      const problems: string[] = [];
      let [hits, operations, most] = [0, 0, 0];
      for (let i = 0; i < (form === "short" ? 2 : 20); i++) {
        const more: Record<string, string> = i % 2 === 0 ? { expect: "100-continue" } : {};
        const { answered, sent } = await sendOversized(client.base, client.token ?? "", more);
        hits += 1;
        most = Math.max(most, sent);
        if (answered !== 413) problems.push(`status ${answered} with ${JSON.stringify(more)}`);
        if ((await client.get("/v1/session")).fate === "done") operations += 1;
      }
      // The kernel's buffers take some MB before the client learns of the answer.
      if (most > 4 * MOST_TAKEN) problems.push(`${most} bytes were sent before the answer`);
      return { hits, operations, figures: `413 after at most ${most} bytes`, problems };
    }),
};

export const HOSTILE = [hostileRequests, oversizedBodies];
