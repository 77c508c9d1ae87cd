import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const FOLDER = join(import.meta.dirname, "test");

/** These start services of their own, break the network, or compare the paths themselves. */
const OWN_SERVICE = /(both_paths|contract|faults|server|topology)\.test\.ts$/;

/** Random requests are compared in smaller numbers: the suite has sent the others. */
const COMPARED = { FAST_PATH: "compared", MODEL_RUNS: "80", FUZZ_RUNS: "20" };

/** The files that send requests to a test service. */
const httpTests = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts") && !OWN_SERVICE.test(file))
  .filter((file) => readFileSync(join(FOLDER, file), "utf8").includes("testService("))
  .map((file) => `test/${file}`);

/**
 * "suite" has all tests; requests go the way that they go in use. "both paths" repeats the HTTP tests
 * with every request read by the fast path and by the general one: a difference is a fault.
 */
export default defineConfig({
  test: {
    globalSetup: "test/support/redis.setup.ts",
    pool: "forks",
    fileParallelism: true,
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: "suite", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: { name: "both paths", include: httpTests, env: COMPARED },
      },
    ],
  },
});
