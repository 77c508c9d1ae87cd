import type { ErrnoName } from "../../domain/errno.ts";

/** Describes every map type by its differences, as data for one behavioural suite. */

export type TypeOutcome = "ok" | ErrnoName;

/** The outcomes for BPF_ANY, BPF_NOEXIST, BPF_EXIST, 3, and BPF_F_LOCK. */
type ByFlags = [TypeOutcome, TypeOutcome, TypeOutcome, TypeOutcome, TypeOutcome];
type TypeAttributes = Record<string, number>;

export interface MapKind {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  /** The map_flags that the type requires at creation. */
  map_flags: number;
  /** If false, the key is a null pointer. */
  keyed: boolean;
  percpu: boolean;
  /** The kind of object whose fds are the values. */
  holds?: "prog" | "map";
  /** A value is this number and the fd of an xdp program with this expected_attach_type. */
  target?: number;
  attach?: number;
  /** The kernel adds these flags to map_flags. */
  adds?: number;
  cpus?: number;
  refused: [TypeAttributes, TypeOutcome][];
  taken: TypeAttributes[];
  /** The cases: the element exists, does not exist, or has no room or an index past the end. */
  update: { fresh: ByFlags; present: ByFlags; beyond: ByFlags };
  delete: { present: TypeOutcome; fresh: TypeOutcome; beyond: TypeOutcome };
  take: { present: TypeOutcome; fresh: TypeOutcome };
  lookup: { present: TypeOutcome; fresh: TypeOutcome; beyond: TypeOutcome };
  /** "keys" walks the existing keys, "indices" all possible ones. */
  walk: "keys" | "indices" | ErrnoName;
  dump: TypeOutcome;
  /**
   * A full LRU map evicts any other element; a queue or stack evicts the oldest one with BPF_EXIST.
   */
  evicts?: "lru" | "oldest";
  batch: {
    lookup: TypeOutcome;
    lookup_and_delete: TypeOutcome;
    update: TypeOutcome;
    delete: TypeOutcome;
  };
  /** The last user takes the elements away, even while a program still holds the map. */
  flushed: boolean;
}

const ZEROS: [TypeAttributes, TypeOutcome][] = [
  [{ key_size: 0 }, "EINVAL"],
  [{ value_size: 0 }, "EINVAL"],
  [{ max_entries: 0 }, "EINVAL"],
];
const FLAGS: [TypeAttributes, TypeOutcome][] = [
  [{ map_flags: 8 + 16 }, "EINVAL"],
  [{ map_flags: 2 ** 31 }, "EINVAL"],
  [{ map_flags: 0x800 }, "EINVAL"],
];
const EXTRA: [TypeAttributes, TypeOutcome] = [{ map_extra: 1 }, "EINVAL"];
const BOTH_PROG: [TypeAttributes, TypeOutcome] = [{ map_flags: 0x180 }, "EINVAL"];
const einval = (...flags: number[]) =>
  flags.map((map_flags): [TypeAttributes, TypeOutcome] => [{ map_flags }, "EINVAL"]);

const BATCHES = { lookup: "ok", lookup_and_delete: "ok", update: "ok", delete: "ok" } as const;
const SOME = { ...BATCHES, lookup_and_delete: "ENOTSUPP", delete: "ENOTSUPP" } as const;
const NONE = { ...SOME, lookup: "ENOTSUPP", update: "ENOTSUPP" } as const;
const REPLACES: ByFlags = ["ok", "EEXIST", "ok", "EINVAL", "EINVAL"];
const ANY_ONLY: ByFlags = ["ok", "EINVAL", "EINVAL", "EINVAL", "EINVAL"];

const hash: MapKind = {
  map_type: "hash",
  ...{ key_size: 4, value_size: 4, max_entries: 4, map_flags: 0, keyed: true, percpu: false },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, BOTH_PROG, ...einval(2, 0x400, 0x1000)],
    [{ value_size: 4194304 }, "E2BIG"],
    [{ key_size: 4194300, value_size: 4 }, "E2BIG"],
    [{ max_entries: 2 ** 31 + 1 }, "E2BIG"],
  ],
  taken: [{ map_flags: 1 }, { map_flags: 4 }, { map_flags: 64 }, { map_flags: 0x80 }],
  update: {
    fresh: ["ok", "ok", "ENOENT", "EINVAL", "EINVAL"],
    present: REPLACES,
    beyond: ["E2BIG", "E2BIG", "ENOENT", "EINVAL", "EINVAL"],
  },
  delete: { present: "ok", fresh: "ENOENT", beyond: "ENOENT" },
  take: { present: "ok", fresh: "ENOENT" },
  lookup: { present: "ok", fresh: "ENOENT", beyond: "ENOENT" },
  ...{ walk: "keys", dump: "ok", batch: BATCHES, flushed: false },
};

const percpu_hash: MapKind = {
  ...hash,
  ...{ map_type: "percpu_hash", percpu: true },
  refused: [...ZEROS, ...FLAGS, BOTH_PROG, ...einval(2, 4), [{ value_size: 32769 }, "E2BIG"]],
  taken: [{ map_flags: 1 }, { map_flags: 64 }, { value_size: 32768 }],
};

const lru_hash: MapKind = {
  ...hash,
  ...{ map_type: "lru_hash", evicts: "lru" },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, BOTH_PROG, ...einval(2 + 4)],
    [{ map_flags: 1 }, "ENOTSUPP"],
    [{ value_size: 4194304 }, "E2BIG"],
  ],
  taken: [{ map_flags: 2 }, { map_flags: 4 }, { map_flags: 64 }],
  update: { ...hash.update, beyond: ["ok", "ok", "ENOENT", "EINVAL", "EINVAL"] },
};

const lru_percpu_hash: MapKind = {
  ...lru_hash,
  ...{ map_type: "lru_percpu_hash", percpu: true },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, ...einval(4)],
    [{ map_flags: 1 }, "ENOTSUPP"],
    [{ value_size: 32769 }, "E2BIG"],
  ],
  taken: [{ map_flags: 2 }, { map_flags: 64 }],
};

const lpm_trie: MapKind = {
  ...hash,
  ...{ map_type: "lpm_trie", key_size: 8, map_flags: 1 },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, ...einval(0, 3, 65)],
    [{ key_size: 4 }, "EINVAL"],
    [{ key_size: 261 }, "EINVAL"],
    [{ value_size: 4194304 - 279 }, "EINVAL"],
  ],
  taken: [{ map_flags: 5 }, { key_size: 5 }, { key_size: 260 }, { value_size: 4194304 - 280 }],
  update: { ...hash.update, beyond: ["ENOSPC", "ENOSPC", "ENOENT", "EINVAL", "EINVAL"] },
  take: { present: "ENOTSUPP", fresh: "ENOTSUPP" },
  batch: { ...BATCHES, lookup_and_delete: "ENOTSUPP" },
};

const array: MapKind = {
  ...hash,
  map_type: "array",
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, BOTH_PROG, ...einval(1, 2, 64)],
    [{ key_size: 8 }, "EINVAL"],
    [{ value_size: 2 ** 31 }, "E2BIG"],
  ],
  taken: [{ map_flags: 4 }, { map_flags: 0x400 }, { map_flags: 0x1000 }],
  update: {
    fresh: REPLACES,
    present: REPLACES,
    beyond: ["E2BIG", "E2BIG", "E2BIG", "EINVAL", "EINVAL"],
  },
  delete: { present: "EINVAL", fresh: "EINVAL", beyond: "EINVAL" },
  take: { present: "ENOTSUPP", fresh: "ENOTSUPP" },
  lookup: { present: "ok", fresh: "ok", beyond: "ENOENT" },
  ...{ walk: "indices", batch: SOME },
};

const percpu_array: MapKind = {
  ...array,
  ...{ map_type: "percpu_array", percpu: true },
  refused: [
    ...[...ZEROS, ...FLAGS, ...einval(1, 4, 0x400, 0x1000)],
    [{ key_size: 2 }, "EINVAL"],
    [{ value_size: 32769 }, "E2BIG"],
  ],
  taken: [{ map_flags: 0x80 }, { value_size: 32768 }],
};

const array_of_maps: MapKind = {
  ...array,
  ...{ map_type: "array_of_maps", holds: "map" },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, ...einval(1, 0x80, 0x100, 0x400)],
    [{ value_size: 8 }, "EINVAL"],
    [{ inner_map_fd: 0 }, "EINVAL"],
    [{ inner_map_fd: 999 }, "EBADF"],
  ],
  taken: [{ map_flags: 4 }],
  update: {
    ...{ fresh: ANY_ONLY, present: ANY_ONLY },
    beyond: ["E2BIG", "EINVAL", "EINVAL", "EINVAL", "EINVAL"],
  },
  delete: { present: "ok", fresh: "ENOENT", beyond: "E2BIG" },
  lookup: { present: "ok", fresh: "ENOENT", beyond: "ENOENT" },
};

const prog_array: MapKind = {
  ...array_of_maps,
  ...{ map_type: "prog_array", holds: "prog", batch: NONE, flushed: true },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, ...einval(1, 0x80, 0x100)],
    [{ value_size: 8 }, "EINVAL"],
    [{ key_size: 8 }, "EINVAL"],
  ],
};

const perf_event_array: MapKind = {
  ...prog_array,
  ...{ map_type: "perf_event_array", dump: "ENOTSUPP", flushed: false },
  taken: [{ map_flags: 4 }, { map_flags: 0x800 }],
  update: {
    fresh: ["EBADF", "EINVAL", "EINVAL", "EINVAL", "EINVAL"],
    present: ["EBADF", "EINVAL", "EINVAL", "EINVAL", "EINVAL"],
    beyond: prog_array.update.beyond,
  },
  delete: { present: "ENOENT", fresh: "ENOENT", beyond: "E2BIG" },
  lookup: { present: "ENOTSUPP", fresh: "ENOTSUPP", beyond: "ENOTSUPP" },
};
perf_event_array.refused = prog_array.refused.filter(([{ map_flags }]) => map_flags !== 0x800);

const devmap: MapKind = {
  ...array,
  ...{ map_type: "devmap", value_size: 8, holds: "prog", target: 1, attach: 33, adds: 0x80 },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, BOTH_PROG, ...einval(1, 2, 64, 0x80, 0x100, 0x400, 0x1000)],
    ...[2, 5, 12].map((value_size): [TypeAttributes, TypeOutcome] => [{ value_size }, "EINVAL"]),
    [{ key_size: 8 }, "EINVAL"],
  ],
  taken: [{ map_flags: 4 }, { value_size: 4 }, { max_entries: 2 ** 31 }],
  delete: { present: "ok", fresh: "ok", beyond: "EINVAL" },
  lookup: { present: "ok", fresh: "ENOENT", beyond: "ENOENT" },
  batch: NONE,
};

const devmap_hash: MapKind = {
  ...devmap,
  map_type: "devmap_hash",
  refused: [...devmap.refused, [{ max_entries: 2 ** 31 + 1 }, "EINVAL"]],
  update: {
    fresh: ["ok", "ok", "ok", "EINVAL", "EINVAL"],
    present: REPLACES,
    beyond: ["E2BIG", "E2BIG", "E2BIG", "EINVAL", "EINVAL"],
  },
  delete: { present: "ok", fresh: "ENOENT", beyond: "ENOENT" },
  walk: "keys",
};

const cpumap: MapKind = {
  ...devmap,
  ...{ map_type: "cpumap", target: 192, attach: 35, adds: 0, cpus: 4 },
  refused: [...[...devmap.refused, ...einval(8, 16)], [{ max_entries: 257 }, "E2BIG"]],
  taken: [{ map_flags: 4 }, { value_size: 4 }, { max_entries: 256 }],
};

const hash_of_maps: MapKind = {
  ...hash,
  ...{ map_type: "hash_of_maps", holds: "map" },
  refused: [
    ...[...ZEROS, ...FLAGS, EXTRA, ...einval(2)],
    [{ value_size: 8 }, "EINVAL"],
    [{ inner_map_fd: 0 }, "EINVAL"],
    [{ inner_map_fd: 999 }, "EBADF"],
  ],
  taken: [{ map_flags: 1 }, { map_flags: 0x80 }],
  take: { present: "ENOTSUPP", fresh: "ENOTSUPP" },
};

const queue: MapKind = {
  ...hash,
  ...{ map_type: "queue", key_size: 0, keyed: false, evicts: "oldest", batch: NONE },
  refused: [
    ...[...ZEROS.slice(1), ...FLAGS, EXTRA, BOTH_PROG, ...einval(1, 64)],
    [{ key_size: 4 }, "EINVAL"],
    [{ value_size: 4194305 }, "E2BIG"],
    [{ max_entries: 2 ** 30 }, "ENOMEM"],
  ],
  taken: [{ map_flags: 4 }, { map_flags: 0x100 }],
  update: {
    fresh: ["ok", "EINVAL", "ok", "EINVAL", "EINVAL"],
    present: ["ok", "EINVAL", "ok", "EINVAL", "EINVAL"],
    beyond: ["E2BIG", "EINVAL", "ok", "EINVAL", "EINVAL"],
  },
  delete: { present: "EINVAL", fresh: "EINVAL", beyond: "EINVAL" },
  walk: "EINVAL",
};

const bloom_filter: MapKind = {
  ...queue,
  map_type: "bloom_filter",
  refused: [
    ...([
      ...ZEROS.slice(1),
      ...FLAGS,
      ...einval(1, 2),
      [{ map_extra: 16 }, "EINVAL"],
    ] as typeof FLAGS),
    [{ key_size: 4 }, "EINVAL"],
    [{ value_size: 4194305 }, "E2BIG"],
  ],
  taken: [{ map_flags: 64 }, { map_extra: 15 }],
  update: { fresh: ANY_ONLY, present: ANY_ONLY, beyond: ANY_ONLY },
  delete: { present: "EOPNOTSUPP", fresh: "EOPNOTSUPP", beyond: "EOPNOTSUPP" },
  take: { present: "ENOTSUPP", fresh: "ENOTSUPP" },
  ...{ walk: "EOPNOTSUPP", dump: "EOPNOTSUPP" },
};
delete bloom_filter.evicts;

const NO_ELEMENTS: ByFlags = ["ENOTSUPP", "ENOTSUPP", "ENOTSUPP", "ENOTSUPP", "EINVAL"];

const ringbuf: MapKind = {
  ...bloom_filter,
  ...{ map_type: "ringbuf", value_size: 0, max_entries: 4096 },
  refused: [
    ...[EXTRA, ...einval(8, 16, 0x80, 1)],
    ...[0, 4095, 2048, 12288].map((n): [TypeAttributes, TypeOutcome] => [
      { max_entries: n },
      "EINVAL",
    ]),
    [{ key_size: 4 }, "EINVAL"],
    [{ value_size: 4 }, "EINVAL"],
  ],
  taken: [{ map_flags: 4 }, { max_entries: 8192 }],
  update: { fresh: NO_ELEMENTS, present: NO_ELEMENTS, beyond: NO_ELEMENTS },
  delete: { present: "ENOTSUPP", fresh: "ENOTSUPP", beyond: "ENOTSUPP" },
  lookup: { present: "ENOTSUPP", fresh: "ENOTSUPP", beyond: "ENOTSUPP" },
  ...{ walk: "ENOTSUPP", dump: "ENOTSUPP" },
};

export const KINDS: MapKind[] = [
  ...[hash, percpu_hash, lru_hash, lru_percpu_hash, lpm_trie],
  ...[array, percpu_array, prog_array, array_of_maps, hash_of_maps],
  ...[perf_event_array, devmap, devmap_hash, cpumap],
  ...[queue, { ...queue, map_type: "stack" }, bloom_filter, ringbuf],
];
