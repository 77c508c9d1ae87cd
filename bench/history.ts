import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { folder, ROOT } from "./processes.ts";

/** The last commit that ran domain/lua as a script by EVALSHA, the baseline of the comparison. */
export const EVALSHA_COMMIT = "408fd25";

export interface CheckedOut {
  folder: string;
  remove(): void;
}

/**
 * Extracts the commit, or paths of it, to a temporary folder.
 *
 * @throws if the history is missing: in a copy without git or a shallow clone.
 */
export function checkOut(paths: string[] = []): CheckedOut {
  const archive = execFileSync("git", ["archive", EVALSHA_COMMIT, ...paths], {
    cwd: ROOT,
    maxBuffer: 256 << 20,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const to = mkdtempSync(join(folder, "evalsha-"));
  execFileSync("tar", ["-x", "-C", to], { input: archive });
  return { folder: to, remove: () => rmSync(to, { recursive: true, force: true }) };
}
