// The types of maps, each in a file of its own.

import type { MapView } from "../job.ts";
import type { RunMap, Surroundings } from "./map.ts";
import { ArrayMap } from "./map_array.ts";
import { ArrayOfMaps } from "./map_array_of_maps.ts";
import { BloomFilter } from "./map_bloom_filter.ts";
import { Cpumap } from "./map_cpumap.ts";
import { Devmap } from "./map_devmap.ts";
import { Hash } from "./map_hash.ts";
import { HashOfMaps } from "./map_hash_of_maps.ts";
import { LpmTrie } from "./map_lpm_trie.ts";
import { LruHash } from "./map_lru_hash.ts";
import { LruPercpuHash } from "./map_lru_percpu_hash.ts";
import { PercpuArray } from "./map_percpu_array.ts";
import { PercpuHash } from "./map_percpu_hash.ts";
import { PerfEventArray } from "./map_perf_event_array.ts";
import { ProgArray } from "./map_prog_array.ts";
import { Queue } from "./map_queue.ts";
import { Ringbuf } from "./map_ringbuf.ts";
import { Stack } from "./map_stack.ts";

type Kind = new (run: Surroundings, view: MapView, handle: number) => RunMap;

const KINDS: Readonly<Record<string, Kind>> = {
  array: ArrayMap,
  array_of_maps: ArrayOfMaps,
  bloom_filter: BloomFilter,
  cpumap: Cpumap,
  devmap: Devmap,
  devmap_hash: Devmap,
  hash: Hash,
  hash_of_maps: HashOfMaps,
  lpm_trie: LpmTrie,
  lru_hash: LruHash,
  lru_percpu_hash: LruPercpuHash,
  percpu_array: PercpuArray,
  percpu_hash: PercpuHash,
  perf_event_array: PerfEventArray,
  prog_array: ProgArray,
  queue: Queue,
  ringbuf: Ringbuf,
  stack: Stack,
};

export function openMap(run: Surroundings, view: MapView, handle: number): RunMap {
  const Type = KINDS[view.map_type];
  if (Type === undefined) throw new TypeError(`no map of type ${view.map_type} can be in a run`);
  return new Type(run, view, handle);
}
