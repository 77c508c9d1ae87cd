import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { test } from "vitest";

/**
 * Runs tests in the Chromium of this machine, which `npm test` installs where it can. Without one
 * the tests are skipped, and the report names the reason.
 */

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

function findProgram(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const candidates = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const program = findProgram();
const MISSING = `no browser on PATH: ${NAMES.join(", ")} (Debian: apt-get install chromium)`;

export interface BrowserOptions {
  /** Host names that the browser resolves to the given addresses, without asking DNS. */
  hosts?: Record<string, string>;
  /** More arguments of Chromium's command line. */
  args?: string[];
}

/** Starts Chromium without a window, with an empty profile that close() deletes. */
async function launch({ hosts = {}, args = [] }: BrowserOptions): Promise<Browser> {
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const resolver = rules.length > 0 ? [`--host-resolver-rules=${rules.join(",")}`] : [];
  return await chromium.launch({
    executablePath: program ?? "",
    // A proxy of the environment could not reach the mapped names.
    args: ["--no-proxy-server", ...resolver, ...args],
    // Root and containers have no sandbox; the tests open only pages of their own.
    chromiumSandbox: false,
  });
}

/** Defines a test with a browser of its own, which ends with the test whatever happens. */
export function browserTest(
  title: string,
  run: (browser: Browser) => Promise<void>,
  options: BrowserOptions = {},
): void {
  test(title, { timeout: 900_000 }, async (context) => {
    if (!program) {
      process.stdout.write(`skipped: ${title}: ${MISSING}\n`);
      return context.skip(MISSING);
    }
    const browser = await launch(options);
    try {
      await run(browser);
    } finally {
      await browser.close();
    }
  });
}
