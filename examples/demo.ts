import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type DemoSession, newSession } from "./client.ts";
import { Stage } from "./fixture.ts";
import { startService } from "./own_service.ts";
import { Claims } from "./report.ts";
import { pinsOutliveTheirMaker } from "./step_pins.ts";
import { swapUnderLoad } from "./step_swap.ts";
import { onlyTheLastUserFlushes } from "./step_users.ts";

/**
 * Persistent maps and program arrays, told with real processes that run real programs over HTTP; exits
 * 0 when every claim holds. BPF_URL names a service (one is started without it), BPF_NAMESPACE an empty namespace of
 * it, BPF_API_KEY a key where it wants one.
 */

interface Left {
  sessions: unknown[];
  maps: unknown[];
  progs: unknown[];
  names: string[];
}

async function whatIsLeft(observer: DemoSession): Promise<Left> {
  const get = <T>(path: string) => observer.call<T>("GET", path);
  const { sessions } = await get<{ sessions: { label: string }[] }>("/v1/sessions");
  const { maps } = await get<{ maps: unknown[] }>("/v1/maps");
  const { progs } = await get<{ progs: unknown[] }>("/v1/progs");
  const { entries } = await get<{ entries: { name: string }[] }>("/v1/fs?path=/");
  return { sessions, maps, progs, names: entries.map(({ name }) => name) };
}

const isEmpty = ({ sessions, maps, progs, names }: Left) =>
  sessions.length === 1 && maps.length + progs.length + names.length === 0;

/** @throws when somebody else is there: the demo ends all sessions of its namespace. */
async function enter(url: string, namespace: string): Promise<DemoSession> {
  const asked = { namespace, label: "observer" };
  const observer = await newSession(url, asked, process.env.BPF_API_KEY);
  if (isEmpty(await whatIsLeft(observer))) return observer;
  await observer.exit();
  throw new Error(`the namespace ${namespace} is in use: BPF_NAMESPACE names another`);
}

async function play(stage: Stage): Promise<void> {
  const ids = await pinsOutliveTheirMaker(stage);
  const control = await swapUnderLoad(stage, ids);
  await onlyTheLastUserFlushes(stage, ids, control);
  const left = await whatIsLeft(stage.observer);
  stage.claims.claim("no session but the observer's, no map, no program, no pin", isEmpty(left));
}

/** As `finally`, but a fault of clearing up never hides the fault before it. */
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
  const stage = new Stage(await enter(url, namespace), claims, url, namespace);
  await thenClear(Promise.race([play(stage), interrupted]), () => stage.clear());
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
