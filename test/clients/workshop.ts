import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The folder in which clients are generated, compiled and run. The generators are installed there by a lock file of
 * their own, so that the installation of the service does not grow.
 */

export const ROOT = join(import.meta.dirname, "../..");
export const SHOP = join(ROOT, "node_modules/.cache/clients");

const stamp = join(SHOP, "installed.txt");

/** @param all false for the generators that need no devDependencies */
export function install(all: boolean): void {
  const lock = readFileSync(join(import.meta.dirname, "package-lock.json"), "utf8");
  const state = (everything: boolean) =>
    `${createHash("sha256").update(lock).digest("hex")} ${everything ? "all" : "some"}`;
  const installed = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
  if (installed !== state(true) && (all || installed !== state(false))) {
    mkdirSync(SHOP, { recursive: true });
    for (const file of ["package.json", "package-lock.json"]) {
      cpSync(join(import.meta.dirname, file), join(SHOP, file));
    }
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(["npm", "ci", all ? "--include=dev" : "--omit=dev", ...flags]);
    writeFileSync(stamp, state(all));
  }
  for (const folder of ["drivers", "generated"])
    rmSync(join(SHOP, folder), { recursive: true, force: true });
  cpSync(join(import.meta.dirname, "drivers"), join(SHOP, "drivers"), { recursive: true });
}

/** The Node that runs the generators, some of which need a newer one than the service. */
export function newNode(): string {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath;
  const node = join(SHOP, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
  if (existsSync(node)) return node;
  throw new Error(`generators need Node 22.18 or newer, and this is ${process.versions.node}`);
}

/** @throws with the output if the program fails */
export function run(
  [program = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv = {},
): string {
  const done: SpawnSyncReturns<string> = spawnSync(program, args, {
    cwd: SHOP,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  if (done.status === 0) return done.stdout;
  const output = `${done.error?.message ?? ""}${done.stdout}${done.stderr}`.trim();
  throw new Error(`${program} ${args.join(" ")}: ${output.slice(-4000)}`);
}
