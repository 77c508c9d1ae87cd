import type { FuncType } from "../isa/func_type.ts";
import type { SchemaAttr } from "../schema/schema.ts";

/**
 * The result of parsing an object: maps and programs, in the order in which libbpf creates them.
 */

export interface PlannedShape {
  /** The kernel's name of the type, or the number of an unknown type. */
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  /** A decimal string. */
  map_extra: string;
}

export interface MapPlan extends PlannedShape {
  /** The full name in the object. */
  name: string;
  /** For the kernel: at most 15 characters. */
  map_name: string;
  numa_node: number;
  schema: SchemaAttr | undefined;
  /** The path where it is pinned, and reused from. */
  pin: string | undefined;
  /** The inner map of a map of maps: the index of another map, or the shape of a template. */
  inner: number | PlannedShape | undefined;
  /** The value of its only element; undefined for zeros. */
  data: Buffer | undefined;
  frozen: boolean;
  /** Initial contents of its slots: `of` is the index of a map or program. */
  slots: { index: number; of: number }[];
}

export interface ProgPlan {
  name: string;
  section: string;
  prog_type: string;
  expected_attach_type: number;
  prog_flags: number;
  insns: Buffer;
  /** The ld_imm64 instructions that take the fd of a map. */
  refs: { insn: number; map: number }[];
  /** The types of all functions of the program; undefined where the object has no types. */
  func_types: readonly FuncType[] | undefined;
}

export interface ObjectPlan {
  license: string;
  maps: MapPlan[];
  progs: ProgPlan[];
}

export interface PlanOptions {
  /** The name of the object, a prefix of the names of data maps. */
  name: string;
  /** The directory where maps are pinned by name. */
  pin_root: string;
  /** The section name or program type for all programs; default: from their sections. */
  prog_type?: string | undefined;
  /** max_entries by map name. */
  max_entries?: Record<string, number> | undefined;
  /** The default of max_entries for a perf_event_array. */
  cpus: number;
}

/** Maps of one object. */
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

/** Truncates to the length that bpf_obj_name_cpy() allows. */
export function truncateName(name: string): string {
  return name.slice(0, NAME_MAX);
}

/** Joins with one slash, even when the directory ends in slashes. */
export function joinPath(directory: string, name: string): string {
  return `${directory.replace(/\/+$/, "")}/${name}`;
}

const PAGE = 4096;

/** Rounds the size of a ring buffer up to a power of two pages, as libbpf does. */
export function roundEntries(map_type: string, max_entries: number): number {
  if (!["ringbuf", "user_ringbuf"].includes(map_type) || max_entries === 0) return max_entries;
  const size = PAGE * 2 ** Math.max(0, Math.ceil(Math.log2(max_entries / PAGE)));
  return size < 2 ** 32 ? size : max_entries;
}
