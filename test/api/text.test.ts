import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { toProblem } from "../../api/errors/error_to_problem.ts";
import { escapeLines, escapeText, isPrintable } from "../../api/text.ts";
import { Errno } from "../../domain/errno.ts";
import { NODE_ARGS } from "../../domain/threads/worker_thread.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { raw } from "../support/raw.ts";
import { testService } from "../support/service.ts";

/** Text of strangers: refused where it would be kept, escaped where it is shown. */

const service = await testService();

const HOSTILE = [
  ["\u0000", "\\u0000"],
  ["\u001b[2J", "\\u001b[2J"],
  ["\u007f", "\\u007f"],
  ["\u009b31m", "\\u009b31m"],
  ["\u202egnp.exe", "\\u202egnp.exe"],
  ["\u2066", "\\u2066"],
  ["\u200f", "\\u200f"],
  ["\u2028", "\\u2028"],
] as const;

it.each(HOSTILE)("a detail that quotes %j shows it as %s", (text, shown) => {
  expect(isPrintable(`a${text}`)).toBe(false);
  const error = new Errno("EINVAL", `got a${text}`, { field: "label", log: `a${text}\n\tb` });
  const problem = toProblem(error, { headers: {} });
  expect(problem.detail).toBe(`label: got a${shown}`);
  expect(problem.errors).toEqual([{ pointer: "/body/label", detail: `got a${shown}` }]);
  expect(problem.log).toBe(`a${shown}\n\tb`);
});

it("escaped text is printable and well-formed, and printable text stays as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const escaped = escapeText(text);
      expect([isPrintable(escaped), escaped.isWellFormed()]).toEqual([true, true]);
      expect(isPrintable(escapeLines(text).replaceAll(/[\n\t]/g, ""))).toBe(true);
      if (isPrintable(text) && text.isWellFormed()) expect(escaped).toBe(text);
    }),
  );
});

it.each([
  ["/x\u001b[31m", "control"],
  ["/%2e%2e/x", "percent"],
  ["/\u202ex", "bidi"],
  ["/e\u0301", "NFC"],
])("POST /v1/run refuses the path %j as every other operation does: %s", async (path, why) => {
  const session = await service.session(service.namespace());
  await session.post("/v1/progs", { insns: RETURN_ZERO_HEX });
  const { status, body } = await session.post("/v1/run", { path, data_in: "00".repeat(14) });
  expect(status).toBe(400);
  expect(body.errors[0].pointer).toBe("/body/path");
  expect(body.detail).not.toContain(path);
  const other = await session.post("/v1/fds", { path });
  expect([other.status, other.body.detail]).toEqual([400, body.detail]);
  if (!body.detail.includes("must match")) expect(body.detail).toContain(why);
});

it("a long name is quoted, and a long license kept, without half a character", async () => {
  const session = await service.session(service.namespace());
  const sizes = { map_type: "array", key_size: 4, value_size: 4, max_entries: 1 };
  for (const [name, shown] of [
    ["\u00e9".repeat(32), "\u00e9".repeat(16)],
    [`a${"\u00e9".repeat(31)}`, `a${"\u00e9".repeat(15)}`],
    ["\u{1f600}".repeat(16), "\u{1f600}".repeat(8)],
    [`abc${"\u{1f600}".repeat(15)}`, `abc${"\u{1f600}".repeat(7)}`],
    ["\u00e9", "\u00e9"],
  ]) {
    const { body } = await session.post("/v1/maps", { ...sizes, map_name: name });
    expect(body.detail.endsWith(` bytes: ${shown}`), body.detail).toBe(true);
  }
  const license = `a${"\u00e9".repeat(100)}`;
  const { body } = await session.post("/v1/progs", { insns: RETURN_ZERO_HEX, license });
  const { body: info } = await session.get(`/v1/fds/${body.fd}`);
  expect(info.license).toBe(license.slice(0, 64));
  const even = await session.post("/v1/progs", {
    insns: RETURN_ZERO_HEX,
    license: license.slice(1),
  });
  const { body: other } = await session.get(`/v1/fds/${even.body.fd}`);
  expect(other.license).toBe("\u00e9".repeat(63));
});

it.each(["a\u0000b", "a\u001bb", "a\u007fb", "a\u0085b", "a\u202eb", "a\u2067b", "a\u2029b"])(
  "the label %j is refused by a new session and by a fork",
  async (label) => {
    const session = await service.session(service.namespace());
    for (const path of ["/v1/sessions", "/v1/session/fork"]) {
      const { status, body } = await session.post(path, { label });
      expect([status, body.errors?.[0].pointer]).toEqual([400, "/body/label"]);
      expect(isPrintable(body.detail)).toBe(true);
    }
  },
);

/** Names of headers whose values are text somewhere. */
const HEADERS = [
  ...["accept", "accept-encoding", "authorization", "content-encoding", "content-type", "host"],
  ...["idempotency-key", "if-match", "if-none-match", "last-event-id", "origin", "traceparent"],
  ...["x-api-key", "x-request-id"],
];

it("bytes that are no text, in any header, are refused or ignored and never sent back", async () => {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", { map_type: "hash", key_size: 4, value_size: 4, max_entries: 4 });
  for (const name of HEADERS) {
    for (const value of ["\u00ff", "\u00c0\u00af", "a\u009b31m", "\u00ed\u00a0\u0080"]) {
      for (const method of ["GET", "PUT"]) {
        const headers = { authorization: `Bearer ${session.token}`, [name]: value };
        const body = method === "PUT" ? '{"value":"u32:1"}' : undefined;
        const json: Record<string, string> = body ? { "content-type": "application/json" } : {};
        const path = "/v1/fds/3/elements/u32:1";
        const answer = await raw(service.base, method, path, { ...json, ...headers }, body);
        const about = `${method} ${name} ${JSON.stringify(value)}: ${answer.status} ${answer.text}`;
        expect(answer.status, about).toBeLessThan(500);
        expect(isPrintable(answer.text), about).toBe(true);
        for (const text of Object.values(answer.headers))
          expect(isPrintable(String(text))).toBe(true);
      }
    }
  }
});

it("a line of the log is JSON that holds a hostile text, escaped", () => {
  const text = `got ${HOSTILE.map(([one]) => one).join("")}\n"\u00e9"`;
  const log = join(import.meta.dirname, "../../api/log.ts");
  const program = `import { createLog } from ${JSON.stringify(log)};
    createLog("error")("error", process.argv[1], { stack: process.argv[1] });`;
  const args = [...NODE_ARGS, "--input-type=module", "-e", program, text.replaceAll("\0", "")];
  const { stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(isPrintable(stderr.trimEnd()), stderr).toBe(true);
  const { message, stack } = JSON.parse(stderr);
  expect([message, stack]).toEqual([text.replaceAll("\0", ""), text.replaceAll("\0", "")]);
});
