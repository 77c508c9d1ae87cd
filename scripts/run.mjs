import { spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { constants as osConstants } from "node:os";
import { delimiter, join } from "node:path";

/**
 * Runs the scripts of package.json (all but `check`): installs what is missing, then starts the program. It runs
 * before node_modules exists, so it uses Node alone. It never asks a question, and when nothing is
 * missing it costs a few file checks.
 */

checkNode(); // First: some old Nodes have no import.meta.dirname.
const root = join(import.meta.dirname, "..");
// Node runs TypeScript by itself from 22.18 on; older ones need tsx.
const tsx = process.features.typescript ? [] : ["--import", "tsx"];
// The young generation of a service is small: threads that share its collection cost more than
// they save.
const oneCollector = ["--no-parallel-scavenge"];
/** What checks the contract is heavy, so it is installed only for what uses it. */
const tools = "node_modules/.cache/tools";
const spectral = `${tools}/node_modules/@stoplight/spectral-cli/dist/index.js`;
const vitest = "node_modules/vitest/vitest.mjs";
/** More random requests, calls and programs than `npm test` has, in the tests that are made of them. */
const long = {
  MODEL_RUNS: "320",
  FUZZ_RUNS: "80",
  CONTRACT_RUNS: "20000",
  FUZZ_COUNT: "2000",
  SWAP_RUNS: "10000",
};
const longTests = [
  ...["test/api/fuzz.test.ts", "test/api/contract_fuzz.test.ts", "test/commands/model.test.ts"],
  ...["test/compiler/fuzz.test.ts", "test/transaction/concurrent.test.ts"],
];
const programs = {
  start: { args: [...oneCollector, ...tsx, "api/server.ts"], redis: !process.env.REDIS_URL },
  test: { args: [vitest, "run"], redis: true },
  "test:long": {
    args: [vitest, "run", "--project", "suite", ...longTests],
    redis: true,
    env: long,
  },
  "test:kernel": { args: [...tsx, "test/linux/fuzz/fuzz.ts"], redis: false },
  "test:faults": { args: [...tsx, "test/faults/faults.ts"], redis: true },
  demo: { args: [...tsx, "examples/demo.ts"], redis: !process.env.REDIS_URL },
  picture: { args: [...tsx, "examples/picture/picture.ts"], redis: true },
  bench: { args: [...tsx, "bench/bench.ts"], redis: true },
  errors: { args: [...tsx, "scripts/errors.ts"], redis: false },
  conformance: { args: [...tsx, "test/support/conformance.ts"], redis: false },
  clients: { args: [...tsx, "test/clients/clients.ts"], redis: true },
  "lint:spectral": {
    args: [spectral, "lint", "openapi.yaml", "--fail-severity=hint"],
    redis: false,
  },
  "lint:editions": { args: [...tsx, "test/support/lint_editions.ts"], redis: false },
};

const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
const say = (line) => process.stderr.write(`[setup] ${line}\n`);

function fail(...lines) {
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)) return;
  fail(
    `Node ${process.versions.node} is not supported: this project needs Node 22.12 or newer ` +
      "(20.19 or newer also works).",
  );
}

/** Runs a set-up step with its output shown on stderr; true when it succeeded. */
function step(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", 2, 2],
  });
  if (error) say(`${command}: ${error.message}`);
  return status === 0;
}

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function npmCi(...flags) {
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  // --include=dev: NODE_ENV=production or a user's omit=dev would leave the tests without vitest.
  if (step(command, [...before, "ci", "--include=dev", ...flags])) return;
  fail("`npm ci` failed (see above). Is the npm registry reachable? Then run this again.");
}

function installModules() {
  const installed = modified(join(root, "node_modules/.package-lock.json"));
  if (installed > 0 && installed >= modified(join(root, "package-lock.json"))) return;
  say(`${installed ? "package-lock.json has changed" : "node_modules is missing"}: npm ci`);
  npmCi();
  say("node modules installed");
}

function installTools() {
  const folder = join(root, tools);
  const lock = join(root, "test/tools/package-lock.json");
  if (modified(join(folder, "node_modules/.package-lock.json")) >= modified(lock)) return;
  say("the tools that check the contract are missing or have changed: npm ci");
  mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) {
    copyFileSync(join(root, "test/tools", file), join(folder, file));
  }
  npmCi("--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund");
  say("tools installed");
}

function onPath(...names) {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return folders.some((folder) =>
    names.some((name) => {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }),
  );
}

const hasRedis = () => onPath("redis-server", "valkey-server");

const canApt = () => process.getuid?.() === 0 && onPath("apt-get");

/** Installs a Debian package; updates the package lists only when they do not have it. */
function aptInstall(name) {
  const quiet = { DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "l" };
  const apt = (...args) => step("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...args], quiet);
  const install = () => apt("install", "-y", "--no-install-recommends", name);
  return install() || (apt("update") && install());
}

/**
 * Installs Debian's redis-server but not its service: a policy-rc.d that answers 101 ("not
 * allowed") keeps the package from starting it now, and the unit is disabled for the next boot. A
 * policy-rc.d of the machine's own stays as it is.
 */
function aptInstallRedis() {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !existsSync(policy);
  // A signal meanwhile ends this process after the policy is gone again, not before.
  const interrupted = () => process.exit(130);
  for (const signal of signals) process.on(signal, interrupted);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755, flag: "wx" });
  try {
    if (aptInstall("redis-server") && onPath("systemctl")) {
      spawnSync("systemctl", ["disable", "redis-server"], { stdio: "ignore" });
    }
  } finally {
    if (ours) rmSync(policy, { force: true });
    setImmediate(() => {
      for (const signal of signals) process.off(signal, interrupted);
    });
  }
}

function installRedis(needsBinary) {
  if (hasRedis()) return;
  if (canApt()) {
    say("redis-server is missing: apt-get install redis-server (its system service stays off)");
    aptInstallRedis();
    if (hasRedis()) return say("redis-server installed");
  }
  fail(
    "No redis-server or valkey-server (7.0 or newer) was found on PATH. Three ways to get one:",
    "  1. install it:  sudo apt-get install redis-server   (Debian, Ubuntu)",
    "                  sudo dnf install valkey             (Fedora)",
    "                  brew install redis                  (macOS)",
    "  2. use one that runs:  REDIS_URL=redis://127.0.0.1:6379 npm start",
    "  3. run everything in containers:  docker compose up   (see docker-compose.yml)",
    ...(needsBinary ? ["Tests and benchmarks start servers of their own: they need way 1."] : []),
  );
}

/** The tests of pages need a browser; without one they are skipped, so a failure stops nothing. */
function installBrowser() {
  if (onPath("chromium", "chromium-browser", "google-chrome") || !canApt()) return;
  say("chromium is missing: apt-get install chromium");
  say(aptInstall("chromium") ? "chromium installed" : "no chromium: its tests will be skipped");
}

/** Node keeps compiled modules here, so that the next start need not compile them. */
const compileCache = join(root, "node_modules/.cache/node-compile");

/** Runs the program in this one's place: same terminal, signals passed on, same exit code. */
function become(args, more = {}) {
  const env = { NODE_COMPILE_CACHE: compileCache, ...more, ...process.env };
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: "inherit" });
  for (const signal of signals) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the whole process group: the child has it already.
      if (!(signal === "SIGINT" && process.stdin.isTTY)) child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`cannot start ${args.join(" ")}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + osConstants.signals[signal]));
}

const [name, ...extra] = process.argv.slice(2);
const program = Object.hasOwn(programs, name ?? "") ? programs[name] : undefined;
if (!program) fail(`usage: node scripts/run.mjs ${Object.keys(programs).join("|")} [arguments]`);
// First: who must install Redis by hand should not wait for the modules to learn it.
if (program.redis) installRedis(name.startsWith("test") || name === "bench");
installModules();
if (name === "test") installBrowser();
if (name === "test" || name === "lint:spectral") installTools();
become([...program.args, ...extra], program.env);
