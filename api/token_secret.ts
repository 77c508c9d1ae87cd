import { randomBytes } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config.ts";

/** The secret with which all session tokens are made. */

/** Links a finished file into place: never half a secret, never over that of another process. */
function makeSecret(file: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, randomBytes(32).toString("base64"), { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft);
  }
}

/** Reads TOKEN_SECRET, or a file that is made once and that its owner alone can read. */
export function tokenSecret(config: Config): Buffer {
  if (config.tokenSecret !== undefined) return Buffer.from(config.tokenSecret);
  const file = join(config.dataDir, "token-secret");
  mkdirSync(config.dataDir, { recursive: true });
  if (!existsSync(file)) makeSecret(file);
  const secret = Buffer.from(readFileSync(file, "utf8"));
  if (secret.length < 32) {
    throw new Error(`${file} is too short: remove it (which ends all tokens) or set TOKEN_SECRET`);
  }
  return secret;
}
