import { afterEach, describe, expect, it, vi } from "vitest";
import { isLong } from "../../api/long_body/long_body.ts";
import { READERS } from "../../api/long_body/readers.ts";
import { type Route, routes } from "../../api/openapi/openapi.ts";
import { LimitReached } from "../../domain/errno.ts";
import { BackgroundWorker } from "../../domain/threads/background_worker.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { raw } from "../support/raw.ts";
import { partsOf } from "../support/request_variants.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Long bodies are read in threads, with the same answers as short ones. */

const service = await testService();
const LONG = 256 * 1024;

afterEach(() => {
  vi.restoreAllMocks();
});

/** White space makes a JSON text long and changes nothing else. */
const lengthened = (json: string) => json + " ".repeat(LONG);

const SIZES = { key_size: 4, value_size: 4, max_entries: 8 };

/** fd 3 is a hash with a schema, 4 a queue, 5 a ring buffer, 6 a program that is pinned at /x. */
async function world(): Promise<TestSession> {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", { ...SIZES, schema: { key: "__u32", value: "__u32" } });
  await session.post("/v1/maps", { map_type: "queue", value_size: 4, max_entries: 99 });
  await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
  await session.post("/v1/progs", { insns: RETURN_ZERO_HEX });
  await session.put("/v1/fs?path=/x", { type: "pin", fd: 6 });
  return session;
}

/** The fd of the object that an operation is for. */
const FDS: Readonly<Record<string, string>> = { mapPush: "4", ringWrite: "5", progTestRun: "6" };

interface Sent {
  path: string;
  body: string;
}

async function answer({ token }: TestSession, route: Route, { path, body }: Sent) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { status, text } = await raw(service.base, route.method.toUpperCase(), path, headers, body);
  const comparable = text
    .replaceAll(/"request_id":"[^"]*"/g, "")
    .replaceAll(/"duration_ns":\d+|"(?:time_ns|random)":"?\d+"?/g, "");
  return [status, comparable];
}

const withReader = routes.filter(({ operation }) => operation.operationId in READERS);
/** So many of the wrong bodies of an operation, each another one. */
const BODIES = 24;

describe("a long body", () => {
  it.each(withReader.map((route) => [route.operation.operationId, route] as const))(
    "%s answers a long body as it answers the same in short",
    async (operationId, route) => {
      const [short, long] = [await world(), await world()];
      const bodies = partsOf(route).bodies.filter((body): body is string => Boolean(body));
      const every = Math.ceil(bodies.length / BODIES);
      const path = route.path.replace("{fd}", FDS[operationId] ?? "3").replace("{key}", "u32:1");
      const formats = operationId.startsWith("map") ? ["", "?format=json"] : [""];
      for (const [i, body] of bodies.entries()) {
        if (i % every > 0) continue;
        for (const format of formats) {
          const at = { path: path + format, body };
          const expected = await answer(short, route, at);
          const given = await answer(long, route, { ...at, body: lengthened(body) });
          // The position in a text that is no JSON is another one at its end.
          if (!/is not valid JSON/.test(String(expected[1]))) {
            expect(given, body).toEqual(expected);
          }
        }
      }
      expect((await long.get("/v1/fds/3/elements")).body).toEqual(
        (await short.get("/v1/fds/3/elements")).body,
      );
    },
  );

  it("the validator's message, the position of a byte and the path to a part are the same", async () => {
    const session = await world();
    const at = (body: string | Buffer) =>
      raw(
        service.base,
        "POST",
        "/v1/maps",
        { authorization: `Bearer ${session.token}`, "content-type": "application/json" },
        body,
      );
    const wrong = [
      '{"max_entry":1}',
      '{"map_name":"\\ud800"}',
      `{"schema":${"[".repeat(40)}${"]".repeat(40)}}`,
      '{"map_name":"\u0000',
      "[]",
    ];
    for (const body of wrong) {
      const long = JSON.parse((await at(lengthened(body))).text);
      const short = JSON.parse((await at(body)).text);
      expect([long.status, long.errors]).toEqual([short.status, short.errors]);
    }
    const members = `{${Array.from({ length: 9000 }, (_, i) => `"${i}":0`).join()}}`;
    expect(JSON.parse((await at(members)).text).detail).toBe(
      "body: must have at most 8192 members",
    );
    const octets = Buffer.concat([Buffer.from('{"map_name":"'), Buffer.alloc(LONG, 0xff)]);
    expect(JSON.parse((await at(octets)).text).detail).toBe("body: is not valid UTF-8 at byte 13");
  });

  it("an Idempotency-Key is taken for a long body as well", async () => {
    const session = await world();
    const send = (body: string) =>
      raw(
        service.base,
        "PUT",
        "/v1/fds/3/elements/u32:1",
        {
          authorization: `Bearer ${session.token}`,
          "content-type": "application/json",
          "idempotency-key": "one",
        },
        body,
      );
    const body = lengthened('{"value":"u32:7","flags":1}');
    expect((await send(body)).status).toBe(204);
    expect((await send(body)).status).toBe(204);
    expect((await send(`${body} `)).status).toBe(422);
  });
});

describe("the event loop", () => {
  it("parses no text that is long or has many parts", async () => {
    const session = await world();
    const parsed = vi.spyOn(JSON, "parse");
    const headers = {
      authorization: `Bearer ${session.token}`,
      "content-type": "application/json",
    };
    const many = `{${Array.from({ length: 20_000 }, (_, i) => `"${i}":0`).join()}}`;
    const deep = "[".repeat(200_000);
    const digits = `{"value":"u64:${"9".repeat(LONG)}"}`;
    for (const body of [many, deep, digits]) {
      const path = "/v1/fds/3/elements/u32:1";
      expect((await raw(service.base, "PUT", path, headers, body)).status).toBe(400);
    }
    const longest = Math.max(0, ...parsed.mock.calls.map(([text]) => text.length));
    expect(longest).toBeLessThan(LONG / 16);
  });

  it("a body is long by its bytes or by its parts", () => {
    expect(isLong(Buffer.alloc(LONG, " "))).toBe(false);
    expect(isLong(Buffer.alloc(LONG + 1, " "))).toBe(true);
    expect(isLong(Buffer.alloc(4096, ","))).toBe(false);
    expect(isLong(Buffer.alloc(4097, ","))).toBe(true);
    expect(isLong(Buffer.alloc(4097, "["))).toBe(true);
  });
});

describe("a long answer", () => {
  const COUNT = 3000;
  const attr = { map_type: "array", key_size: 4, value_size: 64, max_entries: COUNT };
  const schema = { key: "u32", value: "struct { u64 a[8]; }" };

  it.each(["hex", "base64", "json"])(
    "a batch of many elements in %s is that of its parts, joined",
    async (format) => {
      const session = await service.session(service.namespace());
      await session.post("/v1/maps", { ...attr, schema });
      const read = async (count: number, cursor?: string) =>
        (
          await session.post(`/v1/fds/3/batch?format=${format}`, {
            ...{ op: "lookup", count },
            ...(cursor === undefined ? {} : { cursor }),
          })
        ).body;
      await session.put("/v1/fds/3/elements/u32:2999", { value: "ff".repeat(64) });
      const whole = await read(COUNT);
      expect(whole.count).toBe(COUNT);
      let [keys, values, cursor]: [unknown[], unknown[], string | undefined] = [[], [], undefined];
      while (keys.length < COUNT) {
        const part = await read(500, cursor);
        keys = keys.concat(part.keys);
        values = values.concat(part.values);
        cursor = part.cursor;
      }
      expect([whole.keys, whole.values]).toEqual([keys, values]);
      // More than there are: the same elements in a problem.
      const beyond = await read(COUNT + 1);
      expect([beyond.errno, beyond.count, beyond.keys]).toEqual(["ENOENT", COUNT, keys]);
    },
  );

  it("a large value is the same in every answer that has it", async () => {
    const session = await service.session(service.namespace());
    const size = 200_000;
    await session.post("/v1/maps", {
      ...{ map_type: "hash", key_size: 4, value_size: size, max_entries: 1 },
      schema: { key: "u32", value: `u8[${size}]` },
    });
    const value = Buffer.alloc(size, 7);
    await session.put("/v1/fds/3/elements/u32:1/bytes", value);
    const path = "/v1/fds/3/elements";
    const numbers = Array(size).fill(7);
    expect((await session.get(`${path}/u32:1`)).body.value).toBe(value.toString("hex"));
    expect((await session.get(`${path}/u32:1?format=json`)).body.value).toEqual(numbers);
    const page = (await session.get(`${path}?format=json`)).body;
    expect(page.elements).toEqual([{ key: 1, value: numbers }]);
    const taken = await session.post(`${path}/u32:1/take?format=base64`);
    expect(taken.body.value).toBe(value.toString("base64"));
  });

  it("an answer is written by the event loop when no thread is free", async () => {
    const session = await service.session(service.namespace());
    const value = Buffer.alloc(100_000, 7);
    await session.post("/v1/maps", { map_type: "queue", value_size: value.length, max_entries: 1 });
    await session.post("/v1/fds/3/push", { value: value.toString("hex") });
    vi.spyOn(BackgroundWorker.prototype, "request").mockRejectedValue(
      new LimitReached("bodies", 64, 64),
    );
    expect((await session.post("/v1/fds/3/pop")).body.value).toBe(value.toString("hex"));
    const refused = await session.post("/v1/maps", { map_name: "x".repeat(LONG) });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  });
});
