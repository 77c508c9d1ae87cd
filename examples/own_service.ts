import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NODE_ARGS } from "../domain/threads/worker_thread.ts";

/** Starts a service for the demo, on a free port, with a data folder that it removes at the end. */

export interface OwnService {
  url: string;
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, "..");

export async function startService(): Promise<OwnService> {
  const data = mkdtempSync(join(tmpdir(), "bpf-demo-"));
  const { HOST: _host, API_KEYS_FILE: _keys, ...rest } = process.env;
  const child = spawn(process.execPath, [...NODE_ARGS, "api/server.ts"], {
    cwd: ROOT,
    env: { ...rest, PORT: "0", DATA_DIR: data, LOG_LEVEL: "error" },
    stdio: ["ignore", "pipe", "inherit"],
    // Not in the terminal's process group: Ctrl-C goes to the demo, which stops the service itself.
    detached: true,
  });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = await exited;
    rmSync(data, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the service ended with code ${code}`);
  };
  const url = await readAddress(createInterface(child.stdout));
  if (url !== undefined) return { url, stop };
  await stop().catch(() => undefined);
  throw new Error("the service did not start");
}

/** The address in "bpf objects at http://host:port"; undefined when the output ends without it. */
function readAddress(lines: ReturnType<typeof createInterface>): Promise<string | undefined> {
  return new Promise((resolve) => {
    lines.on("close", () => resolve(undefined));
    lines.on("line", (line) => {
      const address = /^bpf objects at (\S+)/.exec(line)?.[1];
      if (address) resolve(address);
    });
  });
}
