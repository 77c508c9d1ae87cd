// Which helpers take which maps (check_map_func_compatibility of Linux 6.18): both have their say.

import type { MapFacts } from "../verdict.ts";

/** Types whose maps only some helpers take. */
const TAKEN_BY: Readonly<Record<string, readonly number[]>> = {
  prog_array: [12],
  perf_event_array: [22, 25, 55, 111, 121],
  ringbuf: [130, 131, 134, 198, 199, 200],
  stack_trace: [27],
  cgroup_array: [33, 37],
  array_of_maps: [1],
  hash_of_maps: [1],
  devmap: [1, 51],
  devmap_hash: [1, 51],
  cpumap: [51],
  queue: [87, 88, 89],
  stack: [87, 88, 89],
  bloom_filter: [87, 89],
};

/** Helpers that take only some types. */
const TAKES: Readonly<Record<number, readonly string[]>> = {
  12: ["prog_array"],
  22: ["perf_event_array"],
  25: ["perf_event_array"],
  27: ["stack_trace"],
  33: ["cgroup_array"],
  37: ["cgroup_array"],
  51: ["devmap", "devmap_hash", "cpumap"],
  55: ["perf_event_array"],
  87: ["queue", "stack", "bloom_filter"],
  88: ["queue", "stack"],
  89: ["queue", "stack", "bloom_filter"],
  111: ["perf_event_array"],
  121: ["perf_event_array"],
  130: ["ringbuf"],
  131: ["ringbuf"],
  134: ["ringbuf"],
  195: ["percpu_array", "percpu_hash", "lru_percpu_hash"],
  198: ["ringbuf"],
};

/** Helpers for maps that this service has none of. */
const FOREIGN = new Set([52, 53, 60, 70, 71, 72, 81, 82, 107, 108, 156, 157, 209, 210, 211]);

/** bpf_map_type, as the log gives it. */
export const MAP_TYPE_NUMBERS: Readonly<Record<string, number>> = {
  hash: 1,
  array: 2,
  prog_array: 3,
  perf_event_array: 4,
  percpu_hash: 5,
  percpu_array: 6,
  stack_trace: 7,
  cgroup_array: 8,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  array_of_maps: 12,
  hash_of_maps: 13,
  devmap: 14,
  cpumap: 16,
  queue: 22,
  stack: 23,
  devmap_hash: 25,
  ringbuf: 27,
  bloom_filter: 30,
};

export function isCompatible(helper: number, map: MapFacts): boolean {
  if (MAP_TYPE_NUMBERS[map.map_type] === undefined) return true;
  const takenBy = TAKEN_BY[map.map_type];
  if (takenBy !== undefined && !takenBy.includes(helper)) return false;
  const takes = TAKES[helper];
  if (takes !== undefined && !takes.includes(map.map_type)) return false;
  return !FOREIGN.has(helper);
}

/** Maps that bpf_for_each_map_elem() walks (map_for_each_callback). */
const WALKED = new Set([
  "hash",
  "array",
  "percpu_hash",
  "percpu_array",
  "lru_hash",
  "lru_percpu_hash",
]);

export const isWalked = (map: MapFacts): boolean =>
  WALKED.has(map.map_type) || MAP_TYPE_NUMBERS[map.map_type] === undefined;
