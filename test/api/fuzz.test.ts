import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, expect, inject, it } from "vitest";
import { type Route, routes } from "../../api/openapi/openapi.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import {
  dump,
  expectProblem,
  type RawAnswer,
  type RawProblem,
  raw,
  schemaAt,
} from "../support/raw.ts";
import { type TestSession, testService } from "../support/service.ts";
import { type Shot, shots, WORDS } from "../support/shots.ts";

/**
 * Every operation gets requests that break its own schema. It never answers 5xx, its problem says where,
 * and a rejected request changes nothing.
 */

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env.FUZZ_RUNS ?? 40);
process.stdout.write(`fuzz: FUZZ_SEED=${SEED} FUZZ_RUNS=${RUNS}\n`);
const seen = new Map<number, number>();
afterAll(() => {
  const counts = [...seen].sort(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
  process.stdout.write(`fuzz: answers by status ${counts.join(", ")}\n`);
});

const service = await testService();

// The namespace

interface ShotWorld {
  namespace: string;
  session: TestSession;
  state: string;
}

/** fd 3 a hash with an element, fd 4 a program array, fd 5 a program; /pin, /dir. */
async function world(namespace: string): Promise<ShotWorld> {
  const session = await service.session(namespace, {
    uid: 1000,
    capabilities: ["CAP_BPF", "CAP_NET_ADMIN"],
  });
  const sizes = { key_size: 4, value_size: 4, max_entries: 8 };
  await session.post("/v1/maps", { map_type: "hash", ...sizes });
  await session.post("/v1/maps", { map_type: "prog_array", ...sizes });
  await session.post("/v1/progs", { insns: RETURN_ZERO_HEX });
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:1" });
  await session.put("/v1/fs?path=/pin", { type: "pin", fd: 3 });
  await session.put("/v1/fs?path=/dir", { type: "directory" });
  return { namespace, session, state: await dump(service.kernel, namespace) };
}

/** Statuses that the text of the document gives to every operation: size, content type, encoding. */
const ANYWHERE = ["413", "415"];

function judge({ operation }: Route, answer: RawAnswer, about: string): RawProblem {
  const problem = expectProblem(answer, about);
  const { errno, errors = [] } = problem;
  // node:http rejects it before the operation is known.
  if (answer.status === 431) return problem;
  expect([...Object.keys(operation.responses), ...ANYWHERE], about).toContain(
    String(answer.status),
  );
  if (errno && answer.status !== 410) expect(operation["x-errnos"], about).toContain(errno);
  for (const { pointer } of errors)
    expect(pointer, about).toMatch(/^\/(body|query|params|headers)/);
  return problem;
}

async function fire(at: ShotWorld, { method }: Route, { url, headers, body }: Shot) {
  const usual: Record<string, string> = { authorization: `Bearer ${at.session.token}` };
  if (body) usual["content-type"] = "application/json";
  const given = Object.entries(headers).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const ascii = given.map(([name, value]) => [name, Buffer.from(value).toString("latin1")]);
  const all = { ...usual, ...Object.fromEntries(ascii) };
  const answer = await raw(
    service.base,
    method.toUpperCase(),
    url.replaceAll(" ", "%20"),
    all,
    body,
  );
  seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
  return answer;
}

const bodyCheck = (path: string, method: string) =>
  schemaAt(
    `/paths/${encodeURIComponent(path.replaceAll("/", "~1"))}/${method}/requestBody/content/application~1json/schema`,
  );

/** An error that only the body can have must have a pointer. */
function isPlain({ headers, body }: Shot): boolean {
  return body !== undefined && Object.values(headers).every((value) => value === undefined);
}

function parsed(body: Buffer): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(body.toString().replace(/^\ufeff/, "")) };
  } catch {
    return undefined;
  }
}

/** The checks of JSON are recursive; no body is right that is too deep for them. */
function isFitting(fits: (value: unknown) => boolean, body: Buffer): boolean {
  const json = parsed(body);
  try {
    return json !== undefined && fits(json.value);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

it.each(routes.map((route) => [route.operation.operationId, route] as const))(
  "%s never answers 5xx, says what is wrong, and changes nothing when it rejects",
  async (_id, route) => {
    const namespace = service.namespace();
    let at = await world(namespace);
    const takesJson = route.operation.requestBody?.content["application/json"] !== undefined;
    const fits = takesJson ? bodyCheck(route.path, route.method) : undefined;
    const property = fc.asyncProperty(shots(route), async (shot) => {
      const [headers, body] = [JSON.stringify(shot.headers), shot.body?.toString()];
      const parts = [shot.url.slice(0, 200), headers.slice(0, 300), body?.slice(0, 300)];
      const about = `${route.method} ${parts.join(" ")}`;
      const answer = await fire(at, route, shot);
      expect(answer.status, `${about}: ${answer.text}`).toBeLessThan(500);
      if (answer.status < 400) {
        if (route.method !== "get") at = await world(service.namespace());
        return;
      }
      const problem = judge(route, answer, about);
      expect(await dump(service.kernel, at.namespace), about).toBe(at.state);
      if (answer.status !== 400 || !fits || !isPlain(shot) || !shot.body) return;
      // An optional body may be empty.
      if (shot.body.length === 0 && !route.operation.requestBody?.required) return;
      if (!isFitting(fits, shot.body))
        expect(problem.errors?.length, about + answer.text).toBeGreaterThan(0);
    });
    await fc.assert(property, { seed: SEED, numRuns: RUNS, endOnFailure: true });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  },
  60_000,
);

// An error reply that contains NOSCRIPT makes ioredis send the script again; text of a client must not.

/** Counts the calls of scripts that Redis sees for a namespace, in the lines of MONITOR as they come. */
async function watch(namespace: string) {
  const root = `bpf:{${namespace}}:`;
  const socket = connect(inject("redisUrl").slice("unix://".length));
  const call = new RegExp(`^\\+[\\d.]+ \\[0 (?!lua).*\\] "fcall" "\\w+" "2" "${root}"`, "i");
  let [calls, markers] = [0, 0];
  // A line of another test can have MiB.
  let line: string[] = [];
  let expected = { marker: "", onSeen: () => {} };
  function onLine(text: string): void {
    // A request that takes long on a loaded machine renews its session.
    if (call.test(text) && !text.includes('"sessions_renew"')) calls += 1;
    if (text.includes(expected.marker)) expected.onSeen();
  }
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    const [end = "", ...begins] = chunk.split("\n");
    line.push(end);
    for (const begin of begins) {
      onLine(line.join(""));
      line = [begin];
    }
  });
  const seen = (marker: string) =>
    new Promise<void>((onSeen) => {
      expected = { marker, onSeen };
    });
  const started = seen("+OK");
  socket.write("MONITOR\r\n");
  await started;
  return {
    async count(): Promise<number> {
      const marker = `${root}${markers++}`;
      const reached = seen(`"${marker}"`);
      await service.kernel.script.redis.echo(marker);
      await reached;
      return calls;
    },
    end: () => socket.destroy(),
  };
}

const at = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;
const MAP = { key_size: 4, value_size: 4, max_entries: 8 };

/** Every string that a client can send and that reaches a script. */
const FIELDS: Record<string, (s: TestSession, word: string) => Promise<unknown>> = {
  "fork label": (s, word) => s.post("/v1/session/fork", { label: word }),
  map_name: (s, word) => s.post("/v1/maps", { ...MAP, map_name: word }),
  prog_name: (s, word) => s.post("/v1/progs", { insns: RETURN_ZERO_HEX, prog_name: word }),
  license: (s, word) => s.post("/v1/progs", { insns: RETURN_ZERO_HEX, license: word }),
  "path opened": (s, word) => s.post("/v1/fds", { path: word }),
  "path pinned": (s, word) => s.put(at(word), { type: "pin", fd: 3 }),
  "path of a directory": (s, word) => s.put(at(`/${word}`), { type: "directory" }),
  "path read": (s, word) => s.get(at(`/no/${word}`)),
  "path changed": (s, word) => s.patch(at(`/no/${word}`), { mode: "0600" }),
  "path removed": (s, word) => s.del(at(`/no/${word}`)),
  target: (s, word) => s.put(at("/link"), { type: "symlink", target: word }),
  "link from": (s, word) => s.put(at("/hard"), { type: "link", from: word }),
  "rename from": (s, word) => s.post("/v1/rename", { from: word, to: "/to" }),
  "rename to": (s, word) => s.post("/v1/rename", { from: "/pin", to: `/no/${word}` }),
  "key read": (s, word) => s.get(`/v1/fds/3/elements/str:${encodeURIComponent(word)}`),
  "key written": (s, word) => s.put(`/v1/fds/3/elements/str:${word}`, { value: "00000000" }),
  value: (s, word) => s.put("/v1/fds/3/elements/00000000", { value: `str:${word}` }),
  "key before the next one": (s, word) =>
    s.get(`/v1/fds/3/next-key?key=str:${encodeURIComponent(word)}`),
  cursor: (s, word) => s.get(`/v1/fds/3/elements?cursor=${Buffer.from(word).toString("hex")}`),
  "directory cursor": (s, word) =>
    s.get(`${at("/")}&cursor=1.${Buffer.from(word).toString("base64url")}`),
  "label listed": (s, word) => s.get(`/v1/sessions?label=${encodeURIComponent(word)}`),
  "name listed": (s, word) => s.get(`/v1/maps?map_name=${encodeURIComponent(word)}*`),
  "Idempotency-Key": (s, word) =>
    s.post("/v1/fds/999/dup", undefined, { "idempotency-key": word.replaceAll(" ", "_") }),
};

it.each(Object.entries(FIELDS))(
  "a Redis command as %s runs one script once (a load runs two)",
  async (field, send) => {
    const most = field === "prog_name" || field === "license" ? 2 : 1;
    const { namespace, session } = await world(service.namespace());
    const watched = await watch(namespace);
    try {
      for (const word of WORDS) {
        const before = await watched.count();
        await send(session, word);
        const scripts = (await watched.count()) - before;
        expect(scripts, word).toBeGreaterThan(0);
        expect(scripts, word).toBeLessThanOrEqual(most);
      }
    } finally {
      watched.end();
    }
  },
);

it("a Redis command as namespace or label of a new session runs at most one script", async () => {
  const namespace = service.namespace();
  const { session } = await world(namespace);
  const watched = await watch(namespace);
  try {
    for (const word of WORDS) {
      const before = await watched.count();
      await session.post("/v1/sessions", { namespace, label: word });
      expect((await watched.count()) - before, word).toBe(1);
      const answer = await session.post("/v1/sessions", { namespace: word });
      expect(answer.status).toBe(400);
    }
  } finally {
    watched.end();
  }
});
