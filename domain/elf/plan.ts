import type { SchemaAttr } from "../schema/schema.ts";

/**
 * The result of parsing an object: maps and programs, in the order in which libbpf creates them.
 */

export interface PlannedShape {
  /** The kernel's name of the type, or its number where it has none. */
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  /** A decimal number. */
  map_extra: string;
}

export interface MapPlan extends PlannedShape {
  /** In the object, in full. */
  name: string;
  /** For the kernel: at most 15 characters. */
  map_name: string;
  numa_node: number;
  schema: SchemaAttr | undefined;
  /** Where it is pinned, and found again. */
  pin: string | undefined;
  /** Of a map of maps: what its maps are like, another map of the object by its place or one made for it. */
  inner: number | PlannedShape | undefined;
  /** Of its only element; undefined: zeros. */
  data: Buffer | undefined;
  frozen: boolean;
  /** What its slots hold at first: places of maps or of programs. */
  slots: { index: number; of: number }[];
}

export interface ProgPlan {
  name: string;
  section: string;
  prog_type: string;
  expected_attach_type: number;
  prog_flags: number;
  insns: Buffer;
  /** ld_imm64 instructions whose imm is to be the fd of a map. */
  refs: { insn: number; map: number }[];
  /** The object tells the types of all its functions. */
  func_info: boolean;
}

export interface ObjectPlan {
  license: string;
  maps: MapPlan[];
  progs: ProgPlan[];
}

export interface PlanOptions {
  /** Of the object, for the names of its data maps. */
  name: string;
  /** Where maps are pinned by name. */
  pin_root: string;
  /** Of all programs, a section's name or a type; by their sections without it. */
  prog_type?: string | undefined;
  /** By names of maps. */
  max_entries?: Record<string, number> | undefined;
  /** Entries of a perf_event_array that does not say how many. */
  cpus: number;
}

/** An object has no more. */
export const MAX_MAPS = 1024;
export const PROG_ARRAY = "prog_array";
export const PERF_EVENT_ARRAY = "perf_event_array";
export const DEVMAPS: readonly string[] = ["devmap", "devmap_hash"];
export const MAPS_OF_MAPS: readonly string[] = ["array_of_maps", "hash_of_maps"];

/** enum bpf_map_type */
const MAP_TYPES = (
  "unspec hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array " +
  "lru_hash lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap cpumap xskmap sockhash " +
  "cgroup_storage reuseport_sockarray percpu_cgroup_storage queue stack sk_storage devmap_hash " +
  "struct_ops ringbuf inode_storage task_storage bloom_filter user_ringbuf cgrp_storage arena"
).split(" ");

export function mapTypeName(number: number): string {
  return MAP_TYPES[number] ?? String(number);
}

const NAME_MAX = 15;

/** bpf_obj_name_cpy() takes no more. */
export function truncateName(name: string): string {
  return name.slice(0, NAME_MAX);
}

/** `${directory}/${name}`, whatever slashes the directory ends in. */
export function joinPath(directory: string, name: string): string {
  return `${directory.replace(/\/+$/, "")}/${name}`;
}

const PAGE = 4096;

/** Of a ring buffer: the next power of two pages, as libbpf corrects it. */
export function roundEntries(map_type: string, max_entries: number): number {
  if (!["ringbuf", "user_ringbuf"].includes(map_type) || max_entries === 0) return max_entries;
  const size = PAGE * 2 ** Math.max(0, Math.ceil(Math.log2(max_entries / PAGE)));
  return size < 2 ** 32 ? size : max_entries;
}
