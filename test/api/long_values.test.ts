import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { LongBody } from "../../api/long_body/long_body.ts";
import type { Argument } from "../../domain/redis/redis_value.ts";
import { BackgroundWorker } from "../../domain/threads/background_worker.ts";
import { raw } from "../support/raw.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Long values pass through the service and through scripts in few copies, and never joined to others. */

const service = await testService();
const { script } = service.kernel;
const SIZE = 256 * 1024;
const COUNT = 4;
const ATTR = { key_size: 4, value_size: SIZE, max_entries: COUNT };

afterEach(() => {
  vi.restoreAllMocks();
});

/** The first long body waits until a thread has loaded the document, longer than it may on a busy machine. */
beforeAll(async () => {
  const session = await service.session("long-values");
  const lengthened = `{}${" ".repeat(SIZE)}`;
  const headers = { ...bearer(session), ...JSON_BODY };
  const send = () => raw(service.base, "PATCH", "/v1/session", headers, lengthened);
  await vi.waitFor(async () => expect((await send()).status).not.toBe(503), { timeout: 60_000 });
  await session.del("/v1/session");
}, 70_000);

const bearer = ({ token }: TestSession) => ({ authorization: `Bearer ${token}` });
const OCTETS = { "content-type": "application/octet-stream" };
const JSON_BODY = { "content-type": "application/json" };

const u32 = (n: number) => Buffer.from([n, 0, 0, 0]);
const filledWith = (n: number) => Buffer.alloc(SIZE, n + 1);
const elements = Array.from({ length: COUNT }, (_, n) => [u32(n), filledWith(n)]).flat();
const READ = { op: "lookup", count: COUNT, end_as_success: true };
const HALF = Buffer.alloc(SIZE / 2, 9);

/** A session whose fd 3 is a map with all its elements. */
async function filled(map_type: string): Promise<TestSession> {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", { ...ATTR, map_type });
  const path = `/v1/fds/3/batch/write-bytes?op=update&count=${COUNT}`;
  const headers = { ...bearer(session), ...OCTETS };
  const { status } = await raw(service.base, "POST", path, headers, Buffer.concat(elements));
  expect(status).toBe(200);
  return session;
}

/** Bytes of each Buffer.concat() that joins more than one value. */
function joinsOf(): number[] {
  const { concat } = Buffer;
  const lengths: number[] = [];
  vi.spyOn(Buffer, "concat").mockImplementation((list, length) => {
    const joined = concat(list, length);
    if (joined.length > 1.5 * SIZE) lengths.push(joined.length);
    return joined;
  });
  return lengths;
}

describe("a batch of long values", () => {
  it.each(["array", "hash"])(
    "map type %s answers them in octets and in JSON, unjoined",
    async (type) => {
      const session = await filled(type);
      const read = JSON.stringify(READ);
      const headers = { ...bearer(session), ...JSON_BODY };
      const at = (path: string, more = {}) =>
        raw(service.base, "POST", `/v1/fds/3/batch${path}`, { ...headers, ...more }, read);
      const joins = joinsOf();
      const octets = await at("/read-bytes");
      const { text } = await at("");
      const size = COUNT * (SIZE + 4);
      expect(octets.headers["content-length"]).toBe(String(size));
      const answer = JSON.parse(text);
      expect(answer.keys).toEqual(["00000000", "01000000", "02000000", "03000000"]);
      const values = answer.values.map((value: string) => Buffer.from(value, "hex"));
      for (const [n, value] of values.entries()) expect(value.equals(filledWith(n))).toBe(true);
      // Those of the client and of the check of responses, which are in the same process.
      const checked = JSON.stringify(answer.values).length;
      expect([size, checked, text.length]).toEqual(expect.arrayContaining(joins));
    },
  );

  it("a compressed answer is made of its pieces", async () => {
    const session = await filled("hash");
    const plain = await session.post("/v1/fds/3/batch", READ);
    for (const coding of ["gzip", "br"]) {
      const response = await fetch(`${service.base}/v1/fds/3/batch`, {
        method: "POST",
        headers: { ...bearer(session), ...JSON_BODY, "accept-encoding": coding },
        body: JSON.stringify(READ),
      });
      expect(response.headers.get("content-encoding")).toBe(coding);
      expect(await response.json()).toEqual(plain.body);
    }
  });

  it("the zeros behind what was written of an array's element are in every answer", async () => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", { ...ATTR, map_type: "array" });
    const page = await session.get("/v1/fds/3/elements?limit=1");
    expect(page.body.elements).toEqual([{ key: "00000000", value: "00".repeat(SIZE) }]);
    const batch = await session.post("/v1/fds/3/batch", { op: "lookup", count: 1 });
    expect(batch.body.values).toEqual(["00".repeat(SIZE)]);
  });

  it("a long value reaches the script as an argument of its own", async () => {
    const run = vi.spyOn(script, "run");
    const session = await filled("array");
    const lengths = run.mock.calls
      .filter(([, command]) => command === "map_update_batch")
      .map(([, , , args]) => args.map((arg: Argument) => (arg as Buffer).length))
      .map((all) => [all[1], all.at(-1)]);
    expect(lengths).toEqual(Array(COUNT).fill([4, SIZE]));
    const half = HALF.toString("hex") + "00".repeat(SIZE / 2);
    const body = { op: "update", keys: ["u32:1", "u32:2"], values: [half, half] };
    expect((await session.post("/v1/fds/3/batch", body)).body.count).toBe(2);
    expect((await session.get("/v1/fds/3/elements/u32:2")).body.value).toBe(half);
    const wrong = { ...body, values: [half.slice(2), half.slice(2)] };
    expect((await session.post("/v1/fds/3/batch", wrong)).body.errno).toBe("EINVAL");
  });

  it("calls with long values are not sent together", async () => {
    const session = await filled("array");
    const { stream } = script.redis as unknown as { stream: NodeJS.WritableStream };
    const write = vi.spyOn(stream, "write");
    const put = (n: number) =>
      raw(
        service.base,
        "PUT",
        `/v1/fds/3/elements/u32:${n}/bytes`,
        { ...bearer(session), ...OCTETS },
        filledWith(7),
      );
    const answers = await Promise.all([0, 1, 2, 3].map(put));
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 204]);
    const lengths = write.mock.calls.map(([text]) => text.length);
    expect(lengths.filter((length) => length > SIZE)).toHaveLength(COUNT);
    expect(Math.max(...lengths)).toBeLessThan(1.5 * SIZE);
  });
});

describe("a long text of literals", () => {
  const literals = (count: number) => Array(count).fill("u8:1").join("+");

  it("more literals than the value has bytes are refused, and no value is sent to Redis", async () => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", { ...ATTR, map_type: "hash", value_size: 60_000 });
    const run = vi.spyOn(script, "run");
    const path = "/v1/fds/3/elements/u32:1";
    const refused = await session.put(path, { value: literals(70_000) });
    expect([refused.status, refused.body.errno, refused.body.errors[0].pointer]).toEqual([
      ...[400, "EINVAL", "/body/value"],
    ]);
    expect(refused.body.detail).toContain("at most 60000 literals");
    const commands = run.mock.calls.map(([, command]) => command);
    expect(commands.filter((command) => command !== "session_renew")).toEqual([
      "obj_get_info_by_fd",
    ]);
    expect((await session.put(path, { value: literals(60_000) })).status).toBe(204);
    expect((await session.get(path)).body.value).toBe("01".repeat(60_000));
    const batch = { op: "update", keys: ["u32:1"], values: [literals(70_000)] };
    const many = await session.post("/v1/fds/3/batch", batch);
    expect([many.body.errno, many.body.errors[0].pointer]).toEqual(["EINVAL", "/body/values/0"]);
  });

  it("a text of many literals is read by a thread", async () => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", { ...ATTR, map_type: "hash", value_size: 20_000 });
    const read = vi.spyOn(LongBody.prototype, "read");
    const put = (value: string) => session.put("/v1/fds/3/elements/u32:1", { value });
    expect((await put(literals(20_000))).status).toBe(204);
    expect(read).toHaveBeenCalledTimes(1);
  });
});

describe("a page that is long as JSON", () => {
  const name = "n".repeat(100);
  const members = Array.from({ length: 64 }, (_, i) => `u8 ${name}${i};`).join(" ");
  const attr = {
    ...{ map_type: "array", key_size: 4, value_size: 64, max_entries: 64 },
    schema: { key: "u32", value: `struct { ${members} }` },
  };

  it("a thread writes few bytes whose schema makes them long, also within a map of maps", async () => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", attr);
    const outer = { map_type: "array_of_maps", key_size: 4, value_size: 4, max_entries: 2 };
    await session.post("/v1/maps", { ...outer, inner_map_fd: 3 });
    await session.put("/v1/fds/4/elements/u32:0", { value: { fd: 3 } });
    const short = (await session.get("/v1/fds/3/elements?format=json&limit=2")).body;
    const request = vi.spyOn(BackgroundWorker.prototype, "request");
    const page = (await session.get("/v1/fds/3/elements?format=json")).body;
    const { keys, values } = (
      await session.post("/v1/fds/3/batch?format=json", { op: "lookup", count: 64 })
    ).body;
    const nested = (await session.get("/v1/fds/4/elements?format=json&nested=true")).body;
    expect(request).toHaveBeenCalledTimes(3);
    expect(page.elements).toHaveLength(64);
    expect(page.elements.slice(0, 2)).toEqual(short.elements);
    expect(keys.map((key: number, i: number) => ({ key, value: values[i] }))).toEqual(
      page.elements,
    );
    expect(nested.elements[0].value.elements).toEqual(page.elements);
  });
});

it("an Idempotency-Key holds for the change and not for what is read before it", async () => {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", {
    ...{ map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 },
    schema: { key: "u32", value: "u32" },
  });
  const path = "/v1/fds/3/elements/1?format=json";
  const once = { "idempotency-key": "once" };
  expect((await session.put(path, { value: 7 }, once)).status).toBe(204);
  expect((await session.get(path)).body.value).toBe(7);
  await session.put(path, { value: 8 });
  expect((await session.put(path, { value: 7 }, once)).status).toBe(204);
  expect((await session.get(path)).body.value).toBe(8);
});
