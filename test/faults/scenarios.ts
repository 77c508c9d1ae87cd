import type { FaultScenario } from "./scenario.ts";
import { ABSOLUTE_TARGETS } from "./scenarios/absolute_targets.ts";
import { CLUSTERS } from "./scenarios/clusters.ts";
import { CRASHES } from "./scenarios/crashes.ts";
import { FULL_DISK } from "./scenarios/full_disk.ts";
import { HOSTILE } from "./scenarios/hostile.ts";
import { LONG_REQUESTS } from "./scenarios/long_requests.ts";
import { OVERLOAD } from "./scenarios/overload.ts";
import { REDIS_SETTINGS } from "./scenarios/redis_settings.ts";
import { REGISTRY } from "./scenarios/registry.ts";
import { RELEASES } from "./scenarios/releases.ts";
import { SENTINELS } from "./scenarios/sentinels.ts";
import { STALLS } from "./scenarios/stalls.ts";
import { STREAM_FAULTS } from "./scenarios/streams.ts";
import { WALL_CLOCK } from "./scenarios/wall_clock.ts";

/** All scenarios, in the order of the report. */
export const SCENARIOS: readonly FaultScenario[] = [
  ...[...LONG_REQUESTS, ...CRASHES, ...STALLS, ...WALL_CLOCK, ...RELEASES, ...HOSTILE],
  ...[...ABSOLUTE_TARGETS, ...REDIS_SETTINGS, ...FULL_DISK, ...OVERLOAD, ...STREAM_FAULTS],
  ...[...CLUSTERS, ...REGISTRY, ...SENTINELS],
];
