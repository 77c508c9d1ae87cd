import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
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
});

/** A copy of the project without modules, and a PATH with an npm that only leaves a mark. */
function emptyProject() {
  const dir = mkdtempSync(join(tmpdir(), "bpf-run-"));
  const [bin, mark] = [join(dir, "bin"), join(dir, "npm-ran")];
  for (const folder of ["scripts", "bin"]) mkdirSync(join(dir, folder));
  copyFileSync(join(ROOT, "scripts/run.mjs"), join(dir, "scripts/run.mjs"));
  const npm = `#!/bin/sh\n: > "${mark}"\nexit 1\n`;
  writeFileSync(join(bin, "npm"), npm, { mode: 0o755 });
  const { REDIS_URL: _url, npm_execpath: _npm, ...rest } = process.env;
  const run = (name: string, more: object = {}) =>
    spawnSync(process.execPath, ["scripts/run.mjs", name], {
      cwd: dir,
      env: { ...rest, PATH: bin, ...more },
      encoding: "utf8",
    });
  return {
    bin,
    run,
    npmRan: () => existsSync(mark),
    remove: () => rmSync(dir, { recursive: true }),
  };
}

test("a missing redis-server is reported before npm installs modules", () => {
  const { bin, run, npmRan, remove } = emptyProject();
  for (const name of ["start", "test", "bench"]) {
    const { status, stderr } = run(name);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^No redis-server or valkey-server/),
    ]);
  }
  expect(npmRan()).toBe(false);
  // A service on another Redis needs none here.
  expect(run("start", { REDIS_URL: "redis://127.0.0.1:1" }).stderr).toContain("`npm ci` failed");
  expect(npmRan()).toBe(true);
  writeFileSync(join(bin, "valkey-server"), "#!/bin/sh\n", { mode: 0o755 });
  expect(run("start", { PATH: [bin, "/nowhere"].join(delimiter) }).stderr).toContain("npm ci");
  remove();
});
