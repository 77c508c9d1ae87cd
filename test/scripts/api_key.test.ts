import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ApiKeys } from "../../api/api_keys.ts";
import { CAPABILITIES } from "../../domain/capabilities.ts";
import { ROOT, readText } from "../support/documents.ts";
import { Client, TestSession, testService } from "../support/service.ts";

/** Runs the documented commands that make API keys, and uses the keys. */

const SCRIPT = join(ROOT, "scripts/api-key.mjs");
const PLACES = ["docs/operations.md", "docker-compose.yml", "scripts/api-key.mjs"];
const COMMAND = /\bnode scripts\/api-key\.mjs (--id [a-z][^`\n]*)/g;

const dir = mkdtempSync(join(tmpdir(), "bpf-api-key-"));
afterAll(() => rmSync(dir, { recursive: true }));

let made = 0;
const nextFile = () => {
  made += 1;
  return join(dir, `keys${made}.json`);
};

const documented = PLACES.flatMap((place) =>
  [...readText(place).matchAll(COMMAND)].map(([, args = ""]) => [place, args] as const),
);

const keyed = await Promise.all(
  documented.map(async ([place, args]) => {
    const file = nextFile();
    const command = `node '${SCRIPT}' ${args} --file '${file}'`;
    const key = execFileSync("sh", ["-c", command], { encoding: "utf8", stdio: "pipe" }).trim();
    return { place, args, key, service: await testService(ApiKeys.read(file)) };
  }),
);

describe("documented commands", () => {
  it("each place that documents the script shows a command", () => {
    expect([...new Set(documented.map(([place]) => place))]).toEqual(PLACES);
  });

  it.each(keyed)("the key of $place makes a session with its rights", async (one) => {
    const { args, key, service } = one;
    const created = await new Client(service.base).post("/v1/sessions", {}, { "x-api-key": key });
    expect([created.status, created.body.detail]).toEqual([201, undefined]);
    const session = new TestSession(service.base, created.body);
    const isRoot = args.includes("--uid 0");
    expect(created.body.session.capabilities).toEqual(isRoot ? CAPABILITIES : []);
    const { status } = await session.post("/v1/maps", {
      key_size: 4,
      value_size: 4,
      max_entries: 1,
    });
    expect(status).toBe(isRoot ? 201 : 403);
    await session.del("/v1/session");
  });
});

function run(...args: string[]) {
  const file = nextFile();
  const all = [SCRIPT, "--id", "me", "--file", file, ...args];
  const { status, stderr } = spawnSync(process.execPath, all, { encoding: "utf8" });
  return { status, stderr, file };
}

const written = (file: string) => JSON.parse(readFileSync(file, "utf8")).keys[0].capabilities;
const flags = (names: readonly string[]) => names.flatMap((name) => ["--capability", name]);

describe("capabilities", () => {
  it("the script knows the capabilities of the service and no other", () => {
    expect(written(run(...flags(CAPABILITIES)).file)).toEqual(CAPABILITIES);
    const { stderr } = run("--capability", "?");
    expect(stderr).toContain(`one of ${CAPABILITIES.join(", ")}, got "?"`);
  });

  it.each([
    [["bpf"], ["CAP_BPF"]],
    [["cap_bpf", "CAP_BPF", "Bpf"], ["CAP_BPF"]],
    [["all"], "all"],
    [["ALL", "CAP_BPF"], "all"],
    [[], []],
  ])("the script writes capabilities %j as %j", (given, expected) => {
    const { file } = run(...flags(given));
    expect(written(file)).toEqual(expected);
    expect(() => ApiKeys.read(file)).not.toThrow();
  });

  it.each(["CAP_NOTHING", "CAP_", "", "*", "bpf,kill", "constructor"])(
    "the script refuses capability %j and writes no file",
    (name) => {
      const { status, stderr, file } = run("--capability", name);
      expect([status, stderr]).toEqual([2, expect.stringContaining(`got ${JSON.stringify(name)}`)]);
      expect(() => readFileSync(file)).toThrow("ENOENT");
    },
  );

  const key = { sha256: "0".repeat(64), namespaces: ["a"], uid: 0, gid: 0 };
  const keysFile = (...keys: object[]) => {
    const file = nextFile();
    writeFileSync(file, JSON.stringify({ keys: keys.map((one) => ({ ...key, ...one })) }, null, 2));
    return file;
  };

  it.each<[unknown, string]>([
    [["all"], 'key me: unknown capability all: write "capabilities": "all"'],
    [
      ["CAP_BPF", "CAP_NET_ADMN"],
      "key me: unknown capability CAP_NET_ADMN: did you mean CAP_NET_ADMIN?",
    ],
    [["nothing of that kind"], "key me: unknown capability nothing of that kind"],
    ["ALL", "/keys/0/capabilities must be equal to constant"],
  ])("a keys file with capabilities %j is refused in one line", (capabilities, reason) => {
    const file = keysFile({ id: "me", capabilities });
    const message = (() => {
      try {
        ApiKeys.read(file);
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message).toContain(`${file}: ${reason}`);
    expect(message).not.toContain("\n");
  });

  it("a keys file with two keys of one id, or with broken JSON, is refused in one line", () => {
    const twice = keysFile({ id: "me", capabilities: [] }, { id: "me", capabilities: [] });
    expect(() => ApiKeys.read(twice)).toThrow(`${twice}: two keys have the id me`);
    const broken = nextFile();
    writeFileSync(broken, '{"keys":\n\n}');
    expect(() => ApiKeys.read(broken)).toThrow(/^\S+keys\d+\.json: [^\n]+$/);
  });

  it("a keys file may spell a capability as a request may", () => {
    const file = keysFile({ id: "me", capabilities: ["bpf", "cap_kill", "CAP_SYS_ADMIN"] });
    expect(() => ApiKeys.read(file)).not.toThrow();
  });
});
