import { type HttpRequest, type LoadSample, rounds, wrk } from "./load.ts";
import { furnish, KEY } from "./operations.ts";
import { stop } from "./processes.ts";
import { startRedis } from "./redis_servers.ts";
import { ask, newSession, startService } from "./world.ts";

/** Measures runs over HTTP beside lookups of an element, in turns on the same service and Redis. */

export const LOOKUP = "element lookup";
export const EMPTY = "empty program, by fd";
export const COUNTING = "program that counts, by fd";

const NAMESPACE = "exec";
const ROUNDS = 9;
const PIN = "/empty";
/** An Ethernet frame of zeros. */
const FRAME = "00".repeat(14);
const { stringify: json } = JSON;

/** Adds 1 to element 0 of an array. */
const counting = (fd: number) => `
  *(u32 *)(r10 -4) = 0
  r1 = map[fd:${fd}]
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 +0) += r1
out:
  r0 = 0
  exit`;

interface ExecPlace {
  base: string;
  token: string;
}

async function made({ base, token }: ExecPlace, path: string, body: object): Promise<number> {
  return (JSON.parse(await ask(base, token, "POST", path, json(body))) as { fd: number }).fd;
}

/** Name -> method, path and body of the request. */
async function requests(place: ExecPlace) {
  const { base, token } = place;
  const map = await furnish(base, token);
  const empty = await made(place, "/v1/progs", { asm: "r0 = 0\nexit" });
  await ask(base, token, "PUT", `/v1/fs?path=${PIN}`, json({ type: "pin", fd: empty }));
  const array = { map_type: "array", key_size: 4, value_size: 8, max_entries: 64 };
  const asm = counting(await made(place, "/v1/maps", array));
  const counter = await made(place, "/v1/progs", { asm });
  const post = (path: string, body: object) => ({ method: "POST", path, body: json(body) });
  const run = { data_in: FRAME };
  const key = Buffer.from(KEY).toString("hex");
  return {
    [LOOKUP]: { method: "GET", path: `/v1/fds/${map}/elements/${key}` },
    [EMPTY]: post(`/v1/fds/${empty}/test-run`, run),
    "empty program, by path": post("/v1/run", { path: PIN, ...run }),
    [COUNTING]: post(`/v1/fds/${counter}/test-run`, run),
  };
}

/** Starts all threads of the pool, which takes longer than a round. */
async function warmUp(
  { base, token }: ExecPlace,
  { method, path, body }: HttpRequest,
): Promise<void> {
  const send = () => ask(base, token, method, path, body);
  await Promise.all(Array.from({ length: 64 }, send));
}

export async function execHttp(say: (line: string) => void): Promise<Record<string, LoadSample[]>> {
  const redis = await startRedis("exec");
  const service = await startService(redis);
  const place = { base: service.base, token: await newSession(service.base, NAMESPACE) };
  const watched = { server: service.pid, redis: redis.pid };
  say("runs over HTTP");
  const contenders: Record<string, () => Promise<LoadSample>> = {};
  for (const [name, request] of Object.entries(await requests(place))) {
    await warmUp(place, request);
    contenders[name] = () => wrk({ ...place, requests: [request], seconds: 1, watched });
  }
  const measured = await rounds(ROUNDS, contenders);
  await stop(service);
  await redis.stop();
  return measured;
}
