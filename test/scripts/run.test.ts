import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

/** `npm start` on the Node that runs the tests. */

const ROOT = join(import.meta.dirname, "../..");

async function addressIn(output: AsyncIterable<Buffer>): Promise<string> {
  let greeting = "";
  for await (const chunk of output) {
    greeting += String(chunk);
    const base = /^bpf objects at (\S+)/.exec(greeting)?.[1];
    if (base) return base;
  }
  throw new Error(`the program ended after it wrote: ${greeting}`);
}

test("npm start greets, answers, warns of nothing and stops on SIGTERM with exit code 0", async () => {
  const dir = mkdtempSync(join(tmpdir(), "bpf-start-"));
  const { REDIS_URL: _url, HOST: _host, API_KEYS_FILE: _keys, ...rest } = process.env;
  const child = spawn(process.execPath, ["scripts/run.mjs", "start"], {
    cwd: ROOT,
    env: { ...rest, PORT: "0", DATA_DIR: dir, LOG_LEVEL: "error" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stderr, exited] = [text(child.stderr), once(child, "exit")];
  const base = await addressIn(child.stdout.iterator({ destroyOnReturn: false }));
  child.stdout.resume();
  const session = await fetch(`${base}/v1/sessions`, { method: "POST" });
  expect(session.status).toBe(201);
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  expect(await stderr, "also no ExperimentalWarning").toBe("");
  rmSync(dir, { recursive: true });
}, 60_000);
