import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type DemoSession, newSession } from "./client.ts";
import { Fixture } from "./fixture.ts";
import { startService } from "./own_service.ts";
import { Claims } from "./report.ts";
import { pinsOutliveTheirMaker } from "./step_pins.ts";
import { swapUnderLoad } from "./step_swap.ts";
import { onlyTheLastUserFlushes } from "./step_users.ts";

/**
 * Shows persistent maps and program arrays with real processes that run real programs over HTTP, and
 * exits with 0 when every claim holds. BPF_URL names a service (without it the demo starts one),
 * BPF_NAMESPACE an empty namespace of it, BPF_API_KEY a key if the service requires one.
 */

interface Remaining {
  sessions: unknown[];
  maps: unknown[];
  progs: unknown[];
  names: string[];
}

async function readRemaining(monitor: DemoSession): Promise<Remaining> {
  const get = <T>(path: string) => monitor.call<T>("GET", path);
  const { sessions } = await get<{ sessions: { label: string }[] }>("/v1/sessions");
  const { maps } = await get<{ maps: unknown[] }>("/v1/maps");
  const { progs } = await get<{ progs: unknown[] }>("/v1/progs");
  const { entries } = await get<{ entries: { name: string }[] }>("/v1/fs?path=/");
  return { sessions, maps, progs, names: entries.map(({ name }) => name) };
}

const isEmpty = ({ sessions, maps, progs, names }: Remaining) =>
  sessions.length === 1 && maps.length + progs.length + names.length === 0;

/** @throws when the namespace is in use: the demo ends all sessions of its namespace. */
async function enter(url: string, namespace: string): Promise<DemoSession> {
  const asked = { namespace, label: "monitor" };
  const monitor = await newSession(url, asked, process.env.BPF_API_KEY);
  if (isEmpty(await readRemaining(monitor))) return monitor;
  await monitor.exit();
  throw new Error(`the namespace ${namespace} is in use: BPF_NAMESPACE names another`);
}

async function play(fixture: Fixture): Promise<void> {
  const ids = await pinsOutliveTheirMaker(fixture);
  const control = await swapUnderLoad(fixture, ids);
  await onlyTheLastUserFlushes(fixture, ids, control);
  const left = await readRemaining(fixture.monitor);
  fixture.claims.claim("no session but the monitor's, no map, no program, no pin", isEmpty(left));
}

/** Like `finally`, but an error of `clear` never hides the error before it. */
async function thenClear(work: Promise<void>, clear: () => Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    await clear().catch(() => undefined);
    throw error;
  }
  await clear();
}

async function run(url: string, claims: Claims, interrupted: Promise<never>): Promise<void> {
  const namespace = process.env.BPF_NAMESPACE ?? `demo-${randomBytes(4).toString("hex")}`;
  process.stdout.write(`bpf objects at ${url}, namespace ${namespace}\n`);
  const fixture = new Fixture(await enter(url, namespace), claims, url, namespace);
  await thenClear(Promise.race([play(fixture), interrupted]), () => fixture.clear());
}

const interrupted = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]).then(() => {
  throw new Error("interrupted");
});
interrupted.catch(() => undefined);

async function main(): Promise<0 | 1> {
  const own = process.env.BPF_URL ? undefined : await startService();
  const claims = new Claims();
  const url = process.env.BPF_URL ?? own?.url ?? "";
  await thenClear(run(url, claims, interrupted), async () => own?.stop());
  const { text, exitCode } = claims.summary();
  process.stdout.write(`\n${text}\n`);
  return exitCode;
}

process.exitCode = await main().catch((error: Error) => {
  process.stderr.write(`\nthe demo broke off: ${error.message} ${error.cause ?? ""}\n`);
  return 1;
});
