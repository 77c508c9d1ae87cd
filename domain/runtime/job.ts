import type { CompilationUnit } from "../compiler/abi.ts";
import type { TaskOwner } from "../threads/thread_pool.ts";

/**
 * The input and the outcome of a run. A run is a pure function of its job: it reports what it read
 * and what it wants to write, and the commit compares and writes that in one script.
 */

/** The part of a map that a snapshot has. Keys and values are bytes. */
export interface MapView {
  id: number;
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  /** For a per-CPU map: the number of parts in a fetched value, each padded to 8 bytes. */
  cpus?: number;
  /** Offsets of locks in a value. */
  locks?: readonly number[];
  /** The number of its elements; `producer` and `consumer` are the positions of a ring buffer. */
  entries: number;
  producer?: number;
  consumer?: number;
  /** All elements are here: any other key is absent. */
  isComplete: boolean;
  /**
   * A value is null when the key is absent. In an LPM trie, `key` is the one looked up and `matched`
   * the prefix found. In a queue or stack, elements are in pop order and keys are empty. In a Bloom
   * filter, `key` is the value looked up, and `value` is empty when the filter has it. In an array of
   * programs or maps, `value` is the id of the object, 4 bytes.
   */
  elements: { key: Uint8Array; value: Uint8Array | null; matched?: Uint8Array }[];
  /** A complete array has its values here, one after the other, and no elements. */
  bytes?: Uint8Array;
}

/** A program that a run may execute. */
export interface ProgramView {
  id: number;
  /** Equal for equal code: instructions, shapes of maps, program type. */
  key: string;
  /** Omitted when the thread has compiled it before. */
  unit?: CompilationUnit;
  /** Ids of its maps, in the order of the unit. */
  maps: readonly number[];
}

/** The inputs of a run that would make it nondeterministic, so that it can be replayed. */
export interface Seed {
  /** ktime_get_ns(), as a decimal string. */
  time_ns: string;
  random: number;
  cpu: number;
}

export interface Job {
  /** Jobs of different owners take turns. */
  owner?: TaskOwner;
  /** The first is the one to run. */
  programs: readonly ProgramView[];
  maps: readonly MapView[];
  prog_type: string;
  data: Uint8Array | undefined;
  ctx: Uint8Array | undefined;
  repeat: number;
  seed: Seed;
  /** Instructions that one repetition may execute. */
  budget: number;
}

/** Data that the snapshot lacks. The run restarts from the beginning when it has been fetched. */
export type Miss =
  | { map: number; key: Uint8Array }
  /** All elements. */
  | { map: number; whole: true }
  /** So many elements of a queue or stack, in pop order. */
  | { map: number; front: number }
  | { program: number }
  | { inner: number };

/** What the commit must find unchanged. `matched` is the prefix that a lookup in an LPM trie found. */
export type ReadSetEntry =
  | { map: number; key: Uint8Array; value: Uint8Array | null; matched?: Uint8Array }
  /** Only whether the element exists; in an LPM trie, the prefix itself. */
  | { map: number; key: Uint8Array; present: boolean }
  /** The map was full. */
  | { map: number; full: true }
  /** Positions of a ring buffer. */
  | { map: number; producer: number; consumer: number }
  /** Nothing has changed in the map since it was fetched. */
  | { map: number; unchanged: true };

/** A change of the run; the commit applies them in the order of the run. */
export type WriteSetEntry =
  | { op: "update"; map: number; key: Uint8Array; value: Uint8Array; flags: number }
  /** The whole value of an existing element, after writes through its pointer. */
  | { op: "write"; map: number; key: Uint8Array; value: Uint8Array }
  /** An addition to a part of the value: delta is two's complement of `size` bytes. */
  | { op: "add"; map: number; key: Uint8Array; offset: number; size: 4 | 8; delta: bigint }
  | { op: "delete"; map: number; key: Uint8Array }
  /** A lookup in an LRU map made the element recently used. */
  | { op: "touch"; map: number; key: Uint8Array }
  | { op: "push"; map: number; value: Uint8Array; flags: number }
  | { op: "pop"; map: number }
  | { op: "output"; map: number; data: Uint8Array; flags: number };

export interface RunDone {
  kind: "done";
  /** u32 */
  retval: number;
  /** The packet after the run, and the context when the caller gave one. */
  data: Uint8Array;
  ctx: Uint8Array | undefined;
  /** ns per repetition. */
  duration: number;
  reads: ReadSetEntry[];
  writes: WriteSetEntry[];
  /** Lines of bpf_trace_printk(). */
  trace: string[];
  /** Ids of the programs that the last repetition ran: the first, then tail calls. */
  chain: number[];
}

/** The run did something that Linux prevents at load time, or exceeded its budget. */
export interface RunFault {
  kind: "fault";
  reason: "memory" | "budget" | "stack" | "lock";
  /** The program and the instruction at fault. */
  program: number;
  pc: number;
  /** For the reader, without the text of the instruction. */
  detail: string;
}

export type RunOutcome =
  | RunDone
  | RunFault
  | { kind: "miss"; misses: Miss[] }
  /** The input is invalid, as in the kernel's test run. */
  | {
      kind: "refused";
      errno: "EINVAL" | "E2BIG" | "ENODEV" | "ENOMEM";
      detail: string;
      field: string;
    };
