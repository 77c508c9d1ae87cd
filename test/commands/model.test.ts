import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { differences } from "../support/invariants/invariants.ts";
import { runs } from "../support/model/commands.ts";
import { naming } from "../support/model/map_calls.ts";
import { ModelRun, tally } from "../support/model/model_run.ts";
import { testService } from "../support/service.ts";

/**
 * Random calls of several processes give the same answers as the model, and leave counts that are
 * the sums over holders. A failure prints what repeats it: MODEL_SEED, MODEL_PATH and MODEL_REPLAY.
 */

const { MODEL_SEED, MODEL_PATH, MODEL_REPLAY, MODEL_RUNS } = process.env;
const RUNS = Number(MODEL_RUNS ?? 160);
const BATCH = 20;
const COMMANDS = 75;
const seed = Number(MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));

const service = await testService();
let sequences = 0;

process.stdout.write(`model: MODEL_SEED=${seed}, ${RUNS} sequences\n`);
afterAll(() => {
  const rows = [...tally].sort(([, a], [, b]) => b - a).map(([name, n]) => `${name} ${n}`);
  const calls = [...tally.values()].reduce((sum, n) => sum + n, 0);
  process.stdout.write(
    `model: MODEL_SEED=${seed}: ${sequences} sequences, ${calls} calls compared: ${rows.join(", ")}\n`,
  );
});

async function agree(commands: Iterable<fc.AsyncCommand<ModelRun, ModelRun>>): Promise<void> {
  const world = new ModelRun(service);
  sequences += 1;
  await world.spawn(0, 8);
  await fc.asyncModelRun(() => ({ model: world, real: world }), commands);
  await world.observe(1);
  const found = await differences(service.kernel.script.redis, world.namespace);
  expect(found, world.log.join("\n")).toEqual([]);
}

const batches = MODEL_PATH ? [0] : Array.from({ length: RUNS / BATCH }, (_, i) => i);

it.each(batches)(
  "random calls agree with the model, batch %i",
  async (batch) => {
    const property = fc.asyncProperty(runs(COMMANDS, MODEL_REPLAY), agree);
    await fc.assert(property, {
      seed: seed + batch,
      numRuns: BATCH,
      ...(MODEL_PATH ? { path: MODEL_PATH } : {}),
    });
  },
  300_000,
);

/** A count, a name, an id, a bit, a holder: each off by one, and how to put it right again. */
const FAULTS: [claim: RegExp, wrong: string[], right: string[]][] = [
  [/map 1: refcnt 5/, ["hincrby", "map:1", "refcnt", "1"], ["hincrby", "map:1", "refcnt", "-1"]],
  [/map 1: usercnt 2/, ["hincrby", "map:1", "usercnt", "-1"], ["hincrby", "map:1", "usercnt", "1"]],
  [/prog 1: refcnt/, ["zadd", "elem:1", "1", "1"], ["zrem", "elem:1", "1"]],
  [/prog 1: refcnt/, ["hincrby", "prog:1", "refcnt", "1"], ["hincrby", "prog:1", "refcnt", "-1"]],
  [/prog 1 uses a map twice/, ["rpush", "used:1", "1"], ["rpop", "used:1"]],
  [/listed holders/, ["hset", "holders:map:1", "slot:9", "1"], ["hdel", "holders:map:1", "slot:9"]],
  [/open file 1 counts 3/, ["hincrby", "file:1", "refs", "1"], ["hincrby", "file:1", "refs", "-1"]],
  [/fdmap has/, ["setbit", "fdmap:1", "9", "1"], ["setbit", "fdmap:1", "9", "0"]],
  [/in ids:map false/, ["zrem", "ids:map", "1"], ["zadd", "ids:map", "1", "1"]],
  [/nlink 3/, ["set", "inode:2", "map 384 0 0 3 1"], ["set", "inode:2", "map 384 0 0 2 1"]],
  [/which is gone/, ["zadd", "dir:1", "9", "x"], ["zrem", "dir:1", "x"]],
  [/deadlines has 7/, ["zadd", "deadlines", "7", "9"], ["zrem", "deadlines", "9"]],
  [/no known kind/, ["set", "surprise", "1"], ["del", "surprise"]],
  [/left of map 9/, ["set", "elem:9:0", "1"], ["del", "elem:9:0"]],
];

it("the invariant checker sees every count that is off by one", async () => {
  const world = new ModelRun(service);
  await world.spawn(0, 8);
  const session = world.client(1);
  const array = { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 2 };
  expect((await session.post("/v1/maps", array)).body.fd).toBe(3);
  expect((await session.post("/v1/progs", { insns: naming([3]) })).body.fd).toBe(4);
  await session.put("/v1/fds/3/elements/00000000", { value: { fd: 4 } });
  await session.post("/v1/fds/3/dup");
  for (const path of ["/a", "/b"]) await session.put(`/v1/fs?path=${path}`, { type: "pin", fd: 3 });
  await session.put("/v1/fs?path=/c", { type: "link", from: "/a" });
  const { redis } = service.kernel.script;
  const send = ([command = "", key = "", ...rest]: string[]) =>
    redis.call(command, `bpf:{${world.namespace}}:${key}`, ...rest);
  for (const [claim, wrong, right] of FAULTS) {
    await send(wrong);
    expect(await differences(redis, world.namespace)).toContainEqual(expect.stringMatching(claim));
    await send(right);
    expect(await differences(redis, world.namespace)).toEqual([]);
  }
});
