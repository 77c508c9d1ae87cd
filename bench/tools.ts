import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

/** Installs the tools that the bench needs and the machine does not have. */

const TOOLS = { wrk: "wrk", webdis: "webdis", "redis-benchmark": "redis-tools" };

const missing = () =>
  Object.entries(TOOLS).filter(([name]) => spawnSync("which", [name]).status !== 0);

/** Keeps Debian packages from starting their services: 101 of policy-rc.d means "not allowed". */
function aptInstall(packages: string[]): void {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !existsSync(policy);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "l" };
  const apt = (...args: string[]) =>
    spawnSync("apt-get", ["-q", ...args], { env, stdio: ["ignore", 2, 2] }).status === 0;
  const install = () => apt("install", "-y", "--no-install-recommends", ...packages);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755, flag: "wx" });
  try {
    if (!install() && apt("update")) install();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

/** @throws if a tool is missing and cannot be installed. */
export function ensureTools(): void {
  if (missing().length > 0 && process.getuid?.() === 0) aptInstall(missing().map(([, p]) => p));
  const packages = missing().map(([, name]) => name);
  if (packages.length > 0) {
    throw new Error(`missing: sudo apt-get install ${packages.join(" ")} (as root: by itself)`);
  }
}
