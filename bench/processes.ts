import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Starts processes, ends them all with the bench, and removes its temporary folder. */

export interface BenchProcess {
  base: string;
  pid: number;
}

export const ROOT = join(import.meta.dirname, "..");
export const START_MS = 20_000;
/** The temporary folder of the bench. */
export const folder = mkdtempSync(join(tmpdir(), "bpf-bench-"));
const children = new Set<ChildProcess>();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

export interface StartOptions {
  env?: NodeJS.ProcessEnv;
  errors?: "inherit" | "ignore";
  cwd?: string;
}

export function start(
  command: string,
  args: string[],
  { env = {}, errors = "inherit", cwd = ROOT }: StartOptions = {},
): ChildProcess {
  const { REDIS_URL, API_KEYS_FILE, HOST, ...inherited } = process.env;
  const child = spawn(command, args, {
    cwd,
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", errors],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

export async function stop({ pid }: { pid: number }): Promise<void> {
  const child = [...children].find((one) => one.pid === pid);
  if (!child) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** @throws if it does not print its address in time; then it is ended. */
export function greeted(child: ChildProcess): Promise<BenchProcess> {
  const { pid = 0 } = child;
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill("SIGKILL");
      reject(new Error(`${child.spawnargs.at(-1)}: ${why}`));
    };
    const timer = setTimeout(() => fail("no address in time"), START_MS);
    let text = "";
    child.stdout?.on("data", (chunk) => {
      text += chunk;
      const base = /at (http:\S+)/.exec(text)?.[1];
      if (!base) return;
      clearTimeout(timer);
      resolve({ base, pid });
    });
    child.once("exit", () => fail("it ended at its start"));
  });
}
