import type { MapView } from "../job.ts";
import type { RunContext, RunMap } from "./map.ts";
import { ArrayMap } from "./types/array.ts";
import { ArrayOfMaps } from "./types/array_of_maps.ts";
import { BloomFilter } from "./types/bloom_filter.ts";
import { Cpumap } from "./types/cpumap.ts";
import { Devmap } from "./types/devmap.ts";
import { Hash } from "./types/hash.ts";
import { HashOfMaps } from "./types/hash_of_maps.ts";
import { LpmTrie } from "./types/lpm_trie.ts";
import { LruHash } from "./types/lru_hash.ts";
import { LruPercpuHash } from "./types/lru_percpu_hash.ts";
import { PercpuArray } from "./types/percpu_array.ts";
import { PercpuHash } from "./types/percpu_hash.ts";
import { PerfEventArray } from "./types/perf_event_array.ts";
import { ProgArray } from "./types/prog_array.ts";
import { QueueMap } from "./types/queue.ts";
import { Ringbuf } from "./types/ringbuf.ts";
import { StackMap } from "./types/stack.ts";

/** The class of each map type. */

type MapConstructor = new (run: RunContext, view: MapView, handle: number) => RunMap;

const CLASSES: Readonly<Record<string, MapConstructor>> = {
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
  queue: QueueMap,
  ringbuf: Ringbuf,
  stack: StackMap,
};

export function openMap(run: RunContext, view: MapView, handle: number): RunMap {
  const Type = CLASSES[view.map_type];
  if (Type === undefined) throw new TypeError(`no map of type ${view.map_type} can be in a run`);
  return new Type(run, view, handle);
}
