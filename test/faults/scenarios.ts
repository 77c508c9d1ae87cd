import type { FaultScenario } from "./scenario.ts";
import { CLUSTERS } from "./scenarios/clusters.ts";
import { CRASHES } from "./scenarios/crashes.ts";
import { HOSTILE } from "./scenarios/hostile.ts";
import { LONG_REQUESTS } from "./scenarios/long_requests.ts";
import { OVERLOAD } from "./scenarios/overload.ts";
import { REDIS_SETTINGS } from "./scenarios/redis_settings.ts";
import { REGISTRY } from "./scenarios/registry.ts";
import { RELEASES } from "./scenarios/releases.ts";
import { STALLS } from "./scenarios/stalls.ts";
import { STREAM_FAULTS } from "./scenarios/streams.ts";

/** All scenarios, in the order of the report. */
export const SCENARIOS: readonly FaultScenario[] = [
  ...[...LONG_REQUESTS, ...CRASHES, ...STALLS, ...RELEASES, ...HOSTILE, ...REDIS_SETTINGS],
  ...[...OVERLOAD, ...STREAM_FAULTS, ...CLUSTERS, ...REGISTRY],
];
