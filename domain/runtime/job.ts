import type { CompilationUnit } from "../compiler/abi.ts";

/**
 * The input and the outcome of a run. A run is a pure function of its job: it reports what it read
 * and what it wants to write, and the commit compares and writes that in one script.
 */

/** A map as a run sees it: a part of it, as of one moment. Keys and values are bytes. */
export interface MapView {
  id: number;
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  /** Of a per-CPU map: parts of a value as fetched, each rounded up to 8 bytes. */
  cpus?: number;
  /** Of a map whose values have any. */
  locks?: readonly number[];
  /** Elements that it had; positions of a ring buffer. */
  entries: number;
  producer?: number;
  consumer?: number;
  /** All elements are here: what is not, is absent. */
  isComplete: boolean;
  /**
   * Key and value; null for one known to be absent. The key of a trie is the one asked for, `matched`
   * the one found. Of a queue or stack in the order in which they are popped, keys empty. Of a Bloom
   * filter the value asked for as key, and as value whether it is there (empty or null). Of an array of
   * programs or maps the value is the object's id, 4 bytes.
   */
  elements: { key: Uint8Array; value: Uint8Array | null; matched?: Uint8Array }[];
  /** Of an array that is here as a whole, instead of elements: the values, one after the other. */
  bytes?: Uint8Array;
}

/** A program that a run may come to. */
export interface ProgramView {
  id: number;
  /** Of its code: the same for the same instructions, maps' shapes and type. */
  key: string;
  /** Left out when the thread has compiled it before. */
  unit?: CompilationUnit;
  /** Ids of its maps, by their places in the unit. */
  maps: readonly number[];
}

/** What is fixed for a run, so that it can be replayed. */
export interface Seed {
  /** ns, of ktime_get_ns(), as decimal digits. */
  time_ns: string;
  random: number;
  cpu: number;
}

export interface Job {
  /** Jobs of different owners take turns. */
  owner?: string;
  /** The first is the one to run. */
  programs: readonly ProgramView[];
  maps: readonly MapView[];
  prog_type: string;
  /** Undefined: none was given. */
  data: Uint8Array | undefined;
  ctx: Uint8Array | undefined;
  repeat: number;
  seed: Seed;
  /** Instructions that one repetition may take. */
  budget: number;
}

/** What the run has to see before it can go on; it starts again from the beginning. */
export type Miss =
  | { map: number; key: Uint8Array }
  /** All elements. */
  | { map: number; whole: true }
  /** Of a queue or stack so many elements from where they are popped. */
  | { map: number; front: number }
  | { program: number }
  | { inner: number };

/** What must still be so at the commit. `matched` is the prefix that a key of a trie leads to. */
export type ReadSetEntry =
  | { map: number; key: Uint8Array; value: Uint8Array | null; matched?: Uint8Array }
  /** Only whether the element is there; of a trie, the prefix itself. */
  | { map: number; key: Uint8Array; present: boolean }
  /** A new element found no room. */
  | { map: number; full: true }
  /** Positions of a ring buffer. */
  | { map: number; producer: number; consumer: number }
  /** Nothing has changed in the map since it was fetched. */
  | { map: number; unchanged: true };

/** What the commit does, in this order. */
export type WriteSetEntry =
  | { op: "update"; map: number; key: Uint8Array; value: Uint8Array; flags: number }
  /** The value of an element that is there was written through its pointer; all of it. */
  | { op: "write"; map: number; key: Uint8Array; value: Uint8Array }
  /** Numbers added to parts of the value: delta is two's complement of `size` bytes. */
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
  /** The packet afterwards, and the context when one was given. */
  data: Uint8Array;
  ctx: Uint8Array | undefined;
  /** ns per repetition. */
  duration: number;
  reads: ReadSetEntry[];
  writes: WriteSetEntry[];
  /** Lines of bpf_trace_printk(). */
  trace: string[];
  /** Programs run, by id, in order: the first and those tail-called, of the last repetition. */
  chain: number[];
}

/** What Linux would have found at load, and what it would never have found. */
export interface RunFault {
  kind: "fault";
  reason: "memory" | "budget" | "stack" | "lock";
  /** The program it happened in, and its instruction. */
  program: number;
  pc: number;
  /** For people, without the instruction's text. */
  detail: string;
}

export type RunOutcome =
  | RunDone
  | RunFault
  | { kind: "miss"; misses: Miss[] }
  /** The input is refused, as the kernel's test run does. */
  | {
      kind: "refused";
      errno: "EINVAL" | "E2BIG" | "ENODEV" | "ENOMEM";
      detail: string;
      field: string;
    };
