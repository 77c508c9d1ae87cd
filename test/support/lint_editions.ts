import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JSON_30 } from "../../api/openapi/editions.ts";

/** Lints the edition in OpenAPI 3.0 by the rules that openapi.yaml keeps to; no warning is accepted. */

const ROOT = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "openapi-"));
const file = join(folder, "openapi-3.0.json");
writeFileSync(file, JSON_30.read());
const { status } = spawnSync(
  join(ROOT, "node_modules/.bin/redocly"),
  ["lint", file, "--config", "redocly.yaml", "--max-problems", "20"],
  { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] },
);
rmSync(folder, { recursive: true });
process.exitCode = status ?? 1;
