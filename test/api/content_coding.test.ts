import { randomBytes } from "node:crypto";
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { expectProblem, raw } from "../support/raw.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Bodies with a Content-Encoding: taken, bounded by what they unpack to, or refused with the reason. */

const service = await testService();
const MIB = 1024 * 1024;
const MAP = JSON.stringify({ key_size: 4, value_size: 4, max_entries: 8 });
/** The best quality would take minutes for a bomb. */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
const PACK = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: (content: Buffer | string) => brotliCompressSync(content, QUALITY),
};

function send({ token }: TestSession, path: string, body: Buffer, more: Record<string, string>) {
  const usual = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return raw(service.base, "POST", path, { ...usual, ...more }, body);
}

describe("codings", () => {
  it.each(Object.entries(PACK))(
    "a JSON body in %s is taken, chunked or not",
    async (name, pack) => {
      const session = await service.session(service.namespace());
      const body = pack(MAP);
      for (const [i, coding] of [name, name.toUpperCase(), ` ${name} `].entries()) {
        const headers = { "content-encoding": coding };
        const more = i === 0 ? headers : { ...headers, "transfer-encoding": "chunked" };
        expect(JSON.parse((await send(session, "/v1/maps", body, more)).text)).toMatchObject({
          fd: 3 + i,
        });
      }
    },
  );

  it("octets in gzip, in several members, in x-gzip and in identity are taken", async () => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", { ...JSON.parse(MAP), value_size: 65_536 });
    const value = Buffer.concat([Buffer.alloc(65_000, 7), randomBytes(536)]);
    const members = [value.subarray(0, 9), value.subarray(9)].map((part) => gzipSync(part));
    const bodies: [Buffer, string][] = [
      [gzipSync(value), "gzip"],
      [Buffer.concat(members), "x-gzip"],
      [value, "identity"],
    ];
    const path = "/v1/fds/3/elements/u32:1/bytes";
    const headers = {
      ...{ authorization: `Bearer ${session.token}`, "content-type": "application/octet-stream" },
    };
    for (const [body, coding] of bodies) {
      await session.del("/v1/fds/3/elements/u32:1");
      const all = { ...headers, "content-encoding": coding };
      expect((await raw(service.base, "PUT", path, all, body)).status).toBe(204);
      expect(Buffer.from((await session.get(path)).body).equals(value)).toBe(true);
    }
  });

  it("a packed repeat of a request with an Idempotency-Key gets the first answer", async () => {
    const session = await service.session(service.namespace());
    const key = { "idempotency-key": "once" };
    const first = await send(session, "/v1/maps", Buffer.from(MAP), key);
    const packed = { ...key, "content-encoding": "gzip" };
    const second = await send(session, "/v1/maps", gzipSync(MAP), packed);
    expect([second.status, second.text]).toEqual([201, first.text]);
    const other = await send(session, "/v1/maps", gzipSync(MAP.replace("8", "9")), packed);
    expect(other.status).toBe(422);
  });
});

describe("refusals", () => {
  it.each(["zstd", "compress", "gzip, gzip", "gzip,br", "", "gzip;q=1", "constructor", "\u00e9"])(
    "Content-Encoding %j is 415 and names what is taken",
    async (coding) => {
      const session = await service.session(service.namespace());
      const answer = await send(session, "/v1/maps", gzipSync(MAP), { "content-encoding": coding });
      expect(answer.status).toBe(415);
      expect(answer.headers["accept-encoding"]).toBe("gzip, deflate, br");
      expect(expectProblem(answer, coding).detail).toContain("gzip, deflate, br");
    },
  );

  it.each<[string, Buffer, string]>([
    ["text that is not packed", Buffer.from(MAP), "gzip"],
    ["half of a gzip body", gzipSync(MAP).subarray(0, 20), "gzip"],
    ["a gzip body without its end", gzipSync(MAP).subarray(0, -4), "gzip"],
    ["deflate without its header", deflateRawSync(MAP), "deflate"],
    ["gzip that claims to be br", gzipSync(MAP), "br"],
    ["a single byte", Buffer.of(31), "gzip"],
  ])("%s is EINVAL and points at the body", async (_what, body, coding) => {
    const session = await service.session(service.namespace());
    const answer = await send(session, "/v1/maps", body, { "content-encoding": coding });
    const problem = expectProblem(answer, coding);
    expect([problem.errno, problem.errors?.[0]?.pointer]).toEqual(["EINVAL", "/body"]);
    expect(problem.detail).toContain(`is not valid ${coding}: `);
  });

  it("what is packed is checked like any other body", async () => {
    const session = await service.session(service.namespace());
    for (const body of [
      "{",
      '{"max_entries":"\\ud800"}',
      `${"[".repeat(99)}${"]".repeat(99)}`,
      "\xff",
    ]) {
      const octets = Buffer.from(body, "latin1");
      const plain = await send(session, "/v1/maps", octets, {});
      const packed = await send(session, "/v1/maps", gzipSync(octets), {
        "content-encoding": "gzip",
      });
      const told = ({ text }: typeof plain) => JSON.parse(text).detail;
      expect([packed.status, told(packed)]).toEqual([400, told(plain)]);
    }
  });
});

describe("limits", () => {
  it.each(Object.entries(PACK))(
    "a body in %s may unpack to the limit and not beyond",
    async (name, pack) => {
      const session = await service.session(service.namespace());
      const headers = { "content-encoding": name };
      const filled = (size: number) => pack(Buffer.from(MAP.padEnd(size, " ")));
      expect((await send(session, "/v1/maps", filled(2 * MIB), headers)).status).toBe(201);
      const answer = await send(session, "/v1/maps", filled(2 * MIB + 1), headers);
      expect(answer.status).toBe(413);
      expect(expectProblem(answer, name).detail).toContain(`at most ${2 * MIB} bytes`);
    },
  );

  it.each(Object.entries(PACK))(
    "a bomb in %s is cut off without being unpacked",
    async (name, pack) => {
      const session = await service.session(service.namespace());
      const bomb = pack(Buffer.alloc(96 * MIB));
      expect(bomb.length).toBeLessThan(MIB);
      const before = process.memoryUsage().rss;
      let highest = before;
      const watch = setInterval(() => {
        highest = Math.max(highest, process.memoryUsage().rss);
      }, 1);
      const bombs = Array.from({ length: 4 }, () =>
        send(session, "/v1/maps", bomb, { "content-encoding": name }),
      );
      const statuses = (await Promise.all(bombs)).map(({ status }) => status);
      clearInterval(watch);
      expect(statuses).toEqual([413, 413, 413, 413]);
      expect((highest - before) / MIB).toBeLessThan(96);
    },
  );

  it("a packed body larger than the limit is 413, also when it unpacks to nothing", async () => {
    const session = await service.session(service.namespace());
    const members = Buffer.concat(Array(120_000).fill(gzipSync("")) as Buffer[]);
    expect(members.length).toBeGreaterThan(2 * MIB);
    for (const more of [{}, { "transfer-encoding": "chunked" }]) {
      const headers = { "content-encoding": "gzip", ...more };
      expect((await send(session, "/v1/maps", members, headers)).status).toBe(413);
    }
    const fewer = members.subarray(0, 20 * 100_000);
    const answer = await send(session, "/v1/maps", fewer, { "content-encoding": "gzip" });
    expect(answer.status).toBe(400);
  });

  it("a caller without a token has nothing unpacked", async () => {
    const headers = { "content-encoding": "gzip", "content-type": "application/json" };
    const answer = await raw(service.base, "POST", "/v1/maps", headers, Buffer.from("not gzip"));
    expect(answer.status).toBe(401);
  });
});
