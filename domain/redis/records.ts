/**
 * The order of fields that TypeScript and the Lua exchange or store by position, written once:
 * lua_bundle.ts gives these lists to the Lua.
 */

/**
 * The version of everything that is stored under a namespace's keys, in its `meta`. A change of what is
 * stored raises it, and comes with a migration or is readable by both versions. 1 is the layout before
 * versions were written.
 */
export const LAYOUT = "2";

/**
 * ms of an outage that count as time at most. It has to be more than a few periods of the heartbeat, and less than
 * ANSWER_MS.
 */
export const BEAT_ALLOWANCE = 250;

/** A deadline is later than the ttl by this factor, so that not every request has to write it, and by ANSWER_MS. */
export const TTL_FACTOR = 1.1;

/** ms that may pass between a call and the end of its answer: not taken off the ttl. */
export const ANSWER_MS = 500;

/** Credentials of a session, as its field `cred` has them and session_create takes them. */
export const CRED = ["uid", "gid", "groups", "caps", "umask", "nofile"] as const;

export const SESSION_INFO = [
  ...["id", "label", "uid", "gid", "groups", "caps", "umask", "ttl", "nofile", "created"],
  ...["expires", "fd_count", "cpus"],
] as const;

export const NAMESPACE_INFO = [
  ...["deleting", "sessions", "maps", "progs", "inodes", "cpus"],
] as const;

/** Arguments of map_create. */
export const MAP_CREATE = [
  ...["map_type", "key_size", "value_size", "max_entries", "map_flags", "map_name", "map_extra"],
  ...["inner_map_fd", "schema", "locks"],
  ...["btf_fd", "btf_key_type_id", "btf_value_type_id", "btf_vmlinux_value_type_id"],
] as const;

/** The field `attr` of a map's record. */
export const MAP_ATTR = [
  ...["map_type", "key_size", "value_size", "max_entries", "map_flags", "frozen", "cpus", "locks"],
] as const;

/** Fields of a map's record by themselves. */
export const MAP_FIELDS = [
  ...["map_name", "map_extra", "refcnt", "usercnt", "evicted", "failed", "revision"],
  ...["btf_id", "btf_key_type_id", "btf_value_type_id"],
] as const;

export const MAP_INFO = [...MAP_ATTR, ...MAP_FIELDS, "schema", "entries"] as const;

/** Fields of a map of maps, of its template. */
export const INNER_MAP = ["inner", "inner_max_entries", "inner_btf"] as const;

/** A map in a map of maps, with its elements, as map_dump_nested answers it. */
export const INNER_DUMP = [
  ...["key", "id", "elements", "next", "schema", "value_size", "value_bytes", "cpus"],
] as const;

/** A map as prog_resolve answers it; those of INNER_MAP follow. */
export const PROG_MAP = ["id", "btf", "map_name", ...MAP_ATTR] as const;

/** Fields of a program's record. */
export const PROG_INFO = [
  ...["prog_type", "prog_name", "tag", "license", "gpl_compatible", "insn_cnt", "load_time"],
  ...["created_by_uid", "expected_attach_type", "refcnt", "btf_id"],
  // The last two are hidden from callers without CAP_BPF.
  ...["nr_func_info", "nr_line_info"],
] as const;

/** Fields of a BTF object's record. The refcnt is the last one. */
export const BTF_INFO = ["btf_size", "refcnt"] as const;

/** Room that a caller of BPF_OBJ_GET_INFO_BY_FD has for the parts of an object. */
export const INFO_ROOM = [
  ...["btf_size", "nr_func_info", "func_info_rec_size", "nr_line_info", "line_info_rec_size"],
  // The byte of a BTF object at which a step of reading begins.
  "btf_from",
] as const;

/** Bytes of a BTF object that one script stores or reads. */
export const BTF_STEP_BYTES = 65_536;

export { FUNC_INFO_BYTES, LINE_INFO_BYTES } from "../isa/limits.ts";

/** Instructions of a page in which they are stored, and the pages of one step of sending or reading them. */
export const PAGE_INSNS = 8192;
export const STEP_PAGES = 8;

/** The snapshot of a map for a run, and the attributes of a map and of a program in it. */
export const MAP_SNAPSHOT = [
  ...["attributes", "revision", "entries", "positions", "complete", "content"],
] as const;
export const RUN_MAP = [
  ...["id", "type", "locks", "key_size", "value_size", "max_entries", "flags", "value_bytes"],
] as const;
export const RUN_PROG = [
  ...["load_time", "prog_type", "prog_name", "tag", "expected_attach_type", "func_info", "maps"],
] as const;

/** An entry of a commit's read set, by its kind: what the commit finds unchanged. */
export const READ_SET = {
  value: ["map", "kind", "key", "value", "matched"],
  present: ["map", "kind", "key", "present"],
  full: ["map", "kind"],
  positions: ["map", "kind", "producer", "consumer"],
  unchanged: ["map", "kind", "revision"],
} as const;

/** An entry of a commit's write set, by its kind. */
export const WRITE_SET = {
  update: ["map", "kind", "key", "value", "flags"],
  write: ["map", "kind", "key", "value"],
  add: ["map", "kind", "key", "offset", "addend"],
  delete: ["map", "kind", "key"],
  touch: ["map", "kind", "key"],
  push: ["map", "kind", "value", "flags"],
  pop: ["map", "kind"],
  output: ["map", "kind", "value", "flags"],
} as const;

type Positions<T> = { [K in keyof T]: Record<string, number> };

/** The Lua counts positions from 1. */
function positionsOf<T extends Record<string, readonly string[]>>(kinds: T): Positions<T> {
  const positions = Object.entries(kinds).map(([kind, fields]) => [
    kind,
    Object.fromEntries(fields.map((field, i) => [field, i + 1])),
  ]);
  return Object.fromEntries(positions);
}

/** READ_SET and WRITE_SET as the Lua reads them: the position of each field. */
export const READ_AT = positionsOf(READ_SET);
export const WRITE_AT = positionsOf(WRITE_SET);
