import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NODE_ARGS } from "../../domain/threads/worker_thread.ts";

/** Starts the service as a child process, as `npm start` does, with a data folder of its own. */

export interface ServiceProgram {
  base: string;
  child: ChildProcess;
  dir: string;
  /** Sends SIGTERM, waits for the exit code, and removes the data folder. */
  stop(): Promise<number | null>;
}

const ROOT = join(import.meta.dirname, "../..");

export async function startProgram(env: Record<string, string> = {}): Promise<ServiceProgram> {
  const dir = env.DATA_DIR ?? mkdtempSync(join(tmpdir(), "bpf-program-"));
  const child = spawn(process.execPath, [...NODE_ARGS, "api/server.ts"], {
    cwd: ROOT,
    env: { ...process.env, PORT: "0", LOG_LEVEL: "error", DATA_DIR: dir, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const base = await greeting(child);
  async function stop() {
    const exited = child.exitCode === null ? once(child, "exit") : undefined;
    child.kill("SIGTERM");
    await exited;
    if (!env.DATA_DIR) rmSync(dir, { recursive: true, force: true });
    return child.exitCode;
  }
  return { base, child, dir, stop };
}

async function greeting(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    const base = /^bpf objects at (\S+)/m.exec(text)?.[1];
    if (base) return base;
  }
  throw new Error(`the program ended with code ${child.exitCode} before it listened`);
}
