import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { PATIENT, WAIT } from "./test/support/patience.ts";

const FOLDER = join(import.meta.dirname, "test");

/** Files that start their own services, drive a browser, wait, or compare the paths themselves. */
const OWN_NAMES =
  "both_paths docs_page _in_browser receive_body server slow_readers long_requests validating_proxy";
const OWN_SERVICE = new RegExp(`(${OWN_NAMES.replaceAll(" ", "|")})\\.test\\.ts$`);

/** Their requests have every form that an operation takes; those of other tests are of the same forms. */
const ALL_FORMS =
  /^(api\/|linux\/|loader\/|commands\/(batch|lists|model|ring)\.|transaction\/run\.)/;

/** Fewer random requests and traces than in the suite, because a few suffice to compare the paths. */
const COMPARED = {
  FAST_PATH: "compared",
  MODEL_RUNS: "40",
  FUZZ_RUNS: "10",
  CONTRACT_RUNS: "1000",
  TRACE_SHARE: "6",
};

/** Those of them that send requests to a test service. */
const httpTests = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((file) => ALL_FORMS.test(file) && file.endsWith(".test.ts") && !OWN_SERVICE.test(file))
  .filter((file) => readFileSync(join(FOLDER, file), "utf8").includes("testService("))
  .map((file) => `test/${file}`);

/**
 * The project "suite" has all tests. The project "both paths" repeats those with requests of all forms and lets
 * the fast path and the general path read each request: a test fails when they differ.
 */
export default defineConfig({
  test: {
    globalSetup: "test/support/redis.setup.ts",
    setupFiles: "test/support/titles.setup.ts",
    pool: "forks",
    // A worker loads the modules of the service once and not again for each file.
    isolate: false,
    fileParallelism: true,
    // One more than the cores of the CI, because many tests wait.
    maxWorkers: 3,
    // Services that tests start as programs inherit it.
    env: PATIENT,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: WAIT },
    projects: [
      { extends: true, test: { name: "suite", include: ["test/**/*.test.ts"] } },
      {
        extends: true,
        test: { name: "both paths", include: httpTests, env: COMPARED },
      },
    ],
  },
});
