import { checkWorld } from "../checks.ts";
import { describeAnswer, type FaultAnswer, insist, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import type { FaultScenario } from "../scenario.ts";
import { downloadSlowly, type SlowRequest, uploadSlowly } from "../slow.ts";
import { redisWorld } from "../world.ts";

/** Requests that are under way for longer than the ttl of their session, which they keep alive. */

const TTL = 1500;
/** The latest end of a session of this ttl. */
const LONG_MS = TTL * 1.1 + 1000;
const [LEAST_GROWTH, MOST_GROWTH] = [1.3, 8];
/** On a loaded machine a check of a long program takes minutes. */
const PATIENCE_MS = 240_000;
const PIECES = 16;
const PAUSE_MS = 250;
const VALUE_BYTES = 65_536;
const LARGE = { map_type: "array", key_size: 4, value_size: 262_144, max_entries: 60 };
const SMALL = { map_type: "array", key_size: 4, value_size: VALUE_BYTES, max_entries: 1 };
const RING = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 };
const PACKET = "00".repeat(64);
const RUNS = 8;

/** The verifier follows each turn of the loop. */
const loop = (turns: number) => [`r6 = ${turns}`, "again:", "r6 -= 1", "if r6 != 0 goto again"];
const program = (turns: number) => ({ prog_type: "xdp", asm: [...loop(turns), "r0 = 2", "exit"] });

type Session = Awaited<ReturnType<typeof openSession>>;

interface LongStep {
  title: string;
  /** Makes descriptor 3, before the ttl is short. */
  prepare?: readonly [path: string, body: object];
  /** Returns what went wrong, or nothing. */
  send(session: Session): Promise<string>;
}

const succeeded = (answer: FaultAnswer) => (answer.fate === "done" ? "" : describeAnswer(answer));

/**
 * Sends more work each time until it takes long enough, by the time that the last one took. Returns what went wrong.
 */
async function untilLong(first: number, send: (size: number) => Promise<string>): Promise<string> {
  for (let size = first; ; ) {
    const began = performance.now();
    const wrong = await send(size);
    const took = performance.now() - began;
    if (wrong !== "" || took > LONG_MS) return wrong;
    size = Math.ceil(size * Math.min(MOST_GROWTH, Math.max(LEAST_GROWTH, (1.5 * LONG_MS) / took)));
  }
}

function loadLong({ client }: Session): Promise<string> {
  const load = (turns: number) => {
    const request = { method: "POST", path: "/v1/progs", body: program(turns) };
    return client.send({ ...request, patience: PATIENCE_MS });
  };
  return untilLong(1_000_000, async (turns) => succeeded(await load(turns)));
}

/** Sends more runs at once than threads can do within the ttl. */
function queueRuns({ client }: Session): Promise<string> {
  return untilLong(500, async (repeat) => {
    const run = { data_in: PACKET, repeat };
    const sent = Array.from({ length: RUNS }, () => client.post("/v1/fds/3/test-run", run));
    return (await Promise.all(sent)).map(succeeded).find((text) => text !== "") ?? "";
  });
}

function rawOf({ client }: Session, method: string, target: string): SlowRequest {
  return { base: client.base, token: client.token ?? "", method, target };
}

async function upload(session: Session): Promise<string> {
  const headers = { "content-type": "application/octet-stream" };
  const request = { ...rawOf(session, "PUT", "/v1/fds/3/elements/u32:0/bytes"), headers };
  const status = await uploadSlowly(request, Buffer.alloc(VALUE_BYTES), PIECES, PAUSE_MS);
  return status === 204 ? "" : `status ${status}`;
}

async function download(session: Session): Promise<string> {
  const headers = { "content-type": "application/json" };
  const request = { ...rawOf(session, "POST", "/v1/fds/3/batch/read-bytes"), headers };
  const body = JSON.stringify({ op: "lookup", count: LARGE.max_entries });
  const bytes = await downloadSlowly(request, body, PIECES / 2, 2 * PAUSE_MS);
  return bytes > LARGE.value_size * LARGE.max_entries ? "" : `cut after ${bytes} bytes`;
}

const poll = async ({ client }: Session) =>
  succeeded(await client.get(`/v1/fds/3/records?wait_ms=${LONG_MS + 500}`));

const STEPS: readonly LongStep[] = [
  { title: "PROG_LOAD", send: loadLong },
  { title: "queued runs", prepare: ["/v1/progs", program(100_000)], send: queueRuns },
  { title: "a slow upload", prepare: ["/v1/maps", SMALL], send: upload },
  { title: "a slow download", prepare: ["/v1/maps", LARGE], send: download },
  { title: "a long poll", prepare: ["/v1/maps", RING], send: poll },
];

const longRequests: FaultScenario = {
  name: "long-requests",
  fault:
    "a program checked, runs queued, an upload, a download and a long poll for longer than the ttl",
  least: { short: { hits: 4, operations: 4 }, full: { hits: 14, operations: 14 } },
  async run(form) {
    const { bases, storage } = await redisWorld();
    const namespaces = newNamespaces(1);
    const problems: string[] = [];
    let [hits, operations] = [0, 0];
    async function take({ title, prepare, send }: LongStep): Promise<void> {
      const session = await openSession(bases, namespaces[0] ?? "");
      if (prepare) await insist(() => session.client.post(...prepare));
      const shorter = { method: "PATCH", path: "/v1/session", body: { ttl_ms: TTL } };
      await insist(() => session.client.send(shorter));
      const began = performance.now();
      const wrong = await send(session);
      if (performance.now() - began > LONG_MS) hits += 1;
      if (wrong === "") operations += 1;
      else problems.push(`${title}: ${wrong}`);
      const after = await session.client.get("/v1/session");
      if (after.fate !== "done") problems.push(`after ${title}: ${describeAnswer(after)}`);
    }
    for (let round = 0; round < (form === "short" ? 1 : 3); round++) {
      await Promise.all(STEPS.map(take));
    }
    problems.push(...(await checkWorld({ bases, namespaces, storage })));
    return { hits, operations, figures: `ttl ${TTL} ms`, problems };
  },
};

export const LONG_REQUESTS = [longRequests];
