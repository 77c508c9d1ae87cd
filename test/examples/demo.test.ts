import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NODE_ARGS } from "../../domain/threads/worker_thread.ts";
import { newSession } from "../../examples/client.ts";
import { type OwnService, startService } from "../../examples/own_service.ts";
import { Claims } from "../../examples/report.ts";
import { checkPackets } from "../../examples/step_swap.ts";
import type { PacketCounts, ProgramIds } from "../../examples/tc.ts";

/** `npm run demo` as a user runs it; a claim that does not hold makes it fail. */

const ROOT = join(import.meta.dirname, "../..");
const LIMIT_MS = 120_000;
let service: OwnService;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bpf-test-demo-"));
  service = await startService();
});

afterAll(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

async function demo(env: Record<string, string>) {
  const { BPF_URL: _url, BPF_NAMESPACE: _namespace, BPF_API_KEY: _key, ...rest } = process.env;
  const child = spawn(process.execPath, [...NODE_ARGS, "examples/demo.ts"], {
    cwd: ROOT,
    env: { ...rest, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, out, err };
}

const claims = (out: string) => out.match(/^ {4}[✓✗]/gm)?.length ?? 0;

// b2197755b2: "This work adds support for "persistent" eBPF maps/programs. The term "persistent" is
// to be understood that maps/programs have a facility that lets them survive process termination."
test(
  "the demo starts a service, its claims hold, and it leaves no file behind",
  async () => {
    const { code, out, err } = await demo({ TMPDIR: folder });
    expect({ code, err }, out).toEqual({ code: 0, err: "" });
    expect(out).toContain(`all ${claims(out)} claims hold`);
    expect(claims(out)).toBeGreaterThan(40);
    expect(readdirSync(folder).filter((name) => name.startsWith("bpf-demo-"))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "the demo's claims hold on the service at BPF_URL, which still runs afterwards",
  async () => {
    const { code, out, err } = await demo({ BPF_URL: service.url });
    expect({ code, err }, out).toEqual({ code: 0, err: "" });
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  },
  LIMIT_MS,
);

test("the demo rejects a namespace in use, and the sessions in it live on", async () => {
  const namespace = "taken";
  const other = await newSession(service.url, { namespace });
  const { code, err } = await demo({ BPF_URL: service.url, BPF_NAMESPACE: namespace });
  expect(code).toBe(1);
  expect(err).toContain("the namespace taken is in use");
  await other.exit();
});

test("a demo that cannot reach its service exits with 1", async () => {
  const { code, out, err } = await demo({ BPF_URL: "http://127.0.0.1:1" });
  expect(code).toBe(1);
  expect(err).toContain("the demo broke off");
  expect(out).not.toContain("claims hold");
});

test("a report with one broken claim names it and exits with 1", () => {
  const lines: string[] = [];
  const made = new Claims((line) => lines.push(line));
  made.claim("the first", true);
  made.claim("the second", false);
  made.claim("the third", true);
  expect(lines.map((line) => line.trim())).toEqual(["✓ the first", "✗ the second", "✓ the third"]);
  expect(made.summary()).toEqual({
    text: "1 of 3 claims are broken:\n  ✗ the second",
    exitCode: 1,
  });
});

const PROGS = { ingress: 1, egress: 2, allow: 3, deny: 4 };
const CHAINS = { classify_1: 5, verdict_1: 6, classify_2: 7, verdict_2: 8 };
const IDS: ProgramIds = {
  maps: { jmp_tc: 1, map_sh: 2, counters: 3, chains: 4 },
  progs: { ...PROGS, ...CHAINS },
};

const tally = (
  programs: number[],
  generation: number,
  more: Partial<PacketCounts> = {},
): PacketCounts => ({
  ...{ protocol: "ipv4", retval: 0, mark: generation, stamp: generation, programs, packets: 9 },
  ...more,
});
const whole = [tally([1, 3], 0), tally([1, 5, 6], 1), tally([1, 7, 8], 2)];
const dropped = tally([1, 7, 8], 2, { protocol: "ipv6", retval: 2 });

function verdict(tallies: PacketCounts[]): number {
  const made = new Claims(() => {});
  checkPackets(made, IDS, "ingress", tallies);
  return made.summary().exitCode;
}

test.each([
  ["a packet that met stages of two chains", tally([1, 7, 6], 1, { stamp: 2, retval: 99 })],
  ["another chain's verdict", tally([1, 5, 6], 1, { retval: 2 })],
  ["another chain's mark", tally([1, 5, 6], 2)],
  ["a packet that should have been dropped", { ...dropped, retval: 0 }],
  ["another direction's program", tally([2, 3], 0)],
])("a claim of the demo breaks when the packets include %s", (_, torn) => {
  expect(verdict([...whole, dropped])).toBe(0);
  expect(verdict([...whole, dropped, torn])).toBe(1);
});

test("a claim of the demo breaks when a policy had no packet", () => {
  for (const i of whole.keys()) expect(verdict(whole.toSpliced(i, 1))).toBe(1);
});

test("a report exits with 0 when all claims hold, and with 1 without any claim", () => {
  const made = new Claims(() => {});
  expect(made.summary().exitCode).toBe(1);
  made.claim("the first", true);
  expect(made.summary()).toEqual({ text: "all 1 claims hold", exitCode: 0 });
});
