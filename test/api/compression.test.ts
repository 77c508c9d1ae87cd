import { request } from "node:http";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { accessRules } from "../../api/access/access_rules.ts";
import { acceptedCoding } from "../../api/compression.ts";
import type { RawAnswer } from "../support/raw.ts";
import { type TestService, type TestSession, testService } from "../support/service.ts";

/** Which answers are compressed, with what, and which bytes an ETag names. */

const fast = await testService(undefined, {}, "on", accessRules(false, [], ["https://a.example"]));
const general = await testService(undefined, {}, "off");

const UNPACK = { br: brotliDecompressSync, gzip: gunzipSync };

interface Answer extends Pick<RawAnswer, "status" | "headers"> {
  bytes: Buffer;
}

/** Without a client that unpacks by itself. */
function send(
  service: TestService,
  path: string,
  headers: Record<string, string>,
  method = "GET",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(service.base + path, { method, headers }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("end", () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: res.statusCode ?? 0, headers: res.headers, bytes });
      });
    });
    req.on("error", reject);
    req.end();
  });
}

function plainText({ headers, bytes }: Answer): string {
  const coding = headers["content-encoding"] as keyof typeof UNPACK | undefined;
  expect(headers["content-length"]).toBe(String(bytes.length));
  return (coding === undefined ? bytes : UNPACK[coding](bytes)).toString();
}

async function filled(service: TestService): Promise<TestSession> {
  const session = await service.session(service.namespace());
  const map = { key_size: 4, value_size: 1000, max_entries: 64 };
  await session.post("/v1/maps", map);
  for (const n of [1, 2, 3]) {
    await session.put(`/v1/fds/3/elements/u32:${n}`, { value: "ab".repeat(1000) });
  }
  return session;
}

const bearerOf = ({ token }: TestSession) => ({ authorization: `Bearer ${token}` });

describe.each([
  ["the fast path", fast],
  ["the general path", general],
])("answers of %s", (name, service) => {
  it.each([
    ["gzip", "gzip"],
    ["br", "br"],
    ["gzip, deflate, br, zstd", "br"],
    ["br;q=0.5, gzip", "gzip"],
    ["*", "br"],
    ["identity", undefined],
    ["", undefined],
  ])(
    `a long answer to Accept-Encoding "%s" has the coding %s on ${name}`,
    async (accept, coding) => {
      const session = await filled(service);
      const path = "/v1/fds/3/elements";
      const plain = await send(service, path, bearerOf(session));
      const answer = await send(service, path, { ...bearerOf(session), "accept-encoding": accept });
      expect([answer.status, answer.headers["content-encoding"]]).toEqual([200, coding]);
      expect(plainText(answer)).toBe(plainText(plain));
      for (const { headers } of [plain, answer]) expect(headers.vary).toContain("Accept-Encoding");
      if (coding) expect(answer.bytes.length).toBeLessThan(plain.bytes.length / 10);
    },
  );

  it(`short answers, octets and answers with an ETag stay as they are on ${name}`, async () => {
    const session = await filled(service);
    const headers = { ...bearerOf(session), "accept-encoding": "gzip, br" };
    for (const path of [
      ...["/v1/fds", "/v1/fds/3", "/v1/fds/3/elements/u32:1", "/v1/fds/3/elements/u32:1/bytes"],
    ]) {
      const answer = await send(service, path, headers);
      expect([path, answer.status, answer.headers["content-encoding"]]).toEqual([
        path,
        200,
        undefined,
      ]);
      expect(answer.headers.vary ?? "").not.toContain("Accept-Encoding");
    }
  });

  it(`a long problem is compressed on ${name}`, async () => {
    const session = await service.session(service.namespace());
    const headers = { ...bearerOf(session), "accept-encoding": "gzip" };
    const path = `/v1/fs?path=/${"x".repeat(240)}`.padEnd(1600, "/x");
    const answer = await send(service, path, headers);
    expect([answer.status, answer.headers["content-encoding"]]).toEqual([404, "gzip"]);
    expect(JSON.parse(plainText(answer)).errno).toBe("ENOENT");
  });

  it(`HEAD has the headers of a compressed GET on ${name}`, async () => {
    const session = await filled(service);
    const headers = { ...bearerOf(session), "accept-encoding": "gzip" };
    const get = await send(service, "/v1/fds/3/elements", headers);
    const head = await send(service, "/v1/fds/3/elements", headers, "HEAD");
    expect(head.bytes.length).toBe(0);
    for (const name of ["content-encoding", "content-length", "vary"]) {
      expect(head.headers[name]).toBe(get.headers[name]);
    }
  });
});

it("Vary names Origin, too, where a list of origins exists", async () => {
  const session = await filled(fast);
  const headers = { ...bearerOf(session), "accept-encoding": "gzip", origin: "https://a.example" };
  for (const path of ["/v1/fds/3/elements", "/openapi.yaml", "/docs", "/docs/start.js"]) {
    const answer = await send(fast, path, headers);
    expect([path, answer.headers.vary]).toEqual([path, "Origin, Accept-Encoding"]);
    expect(answer.headers["access-control-allow-origin"]).toBe("https://a.example");
  }
});

const KEPT = [
  ...["/openapi.yaml", "/openapi.json", "/docs", "/docs/swagger-ui.css"],
  ...["/docs/swagger-ui-bundle.js", "/docs/start.js", "/docs/page.css", "/docs/favicon.png"],
];

describe("the document, the page and its assets", () => {
  it.each(KEPT)("%s has a strong ETag for each coding, and 304 for each", async (path) => {
    const isImage = path.endsWith(".png");
    const plain = await send(fast, path, {});
    const tags = new Set<string>();
    for (const accept of ["identity", "gzip", "br"]) {
      const headers = { "accept-encoding": accept };
      const answer = await send(fast, path, headers);
      const { etag = "" } = answer.headers;
      expect(etag).toMatch(/^"[\w-]+"$/);
      tags.add(etag);
      expect(plainText(answer)).toBe(plainText(plain));
      const coding = accept === "identity" || isImage ? undefined : accept;
      expect(answer.headers["content-encoding"]).toBe(coding);
      expect((await send(fast, path, headers)).headers.etag).toBe(etag);
      for (const given of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        const again = await send(fast, path, { ...headers, "if-none-match": given });
        expect([again.status, again.headers.etag, again.bytes.length]).toEqual([304, etag, 0]);
        expect(again.headers["content-encoding"]).toBeUndefined();
      }
      const other = await send(fast, path, { ...headers, "if-none-match": '"other"' });
      expect(other.status).toBe(200);
    }
    expect(tags.size).toBe(isImage ? 1 : 3);
  });

  it("both paths give the same bytes and the same ETag", async () => {
    for (const path of KEPT) {
      const headers = { "accept-encoding": "gzip" };
      const [one, two] = [await send(fast, path, headers), await send(general, path, headers)];
      expect([path, two.headers.etag, two.bytes.equals(one.bytes)]).toEqual([
        path,
        one.headers.etag,
        true,
      ]);
    }
  });
});

it.each([
  ["gzip;q=0, br;q=0", undefined],
  ["gzip;q=0.001", "gzip"],
  ["*;q=0", undefined],
  ["br;q=0, *", "gzip"],
  ["identity;q=1, gzip;q=0.5", undefined],
  ["GZIP", "gzip"],
  ["gzip ; q=1.0", "gzip"],
  ["gzip;q=x, br;q=", undefined],
  ["gzip;q=-1", undefined],
  [",,;;q=,=", undefined],
  ["__proto__, constructor", undefined],
])('Accept-Encoding "%s" selects %s', (header, coding) => {
  expect(acceptedCoding(header)).toBe(coding);
});
