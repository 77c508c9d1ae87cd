import { list, number, text, time } from "./call.ts";
import { parseSchema, type Schema } from "./schema/schema.ts";
import type { Value } from "./script.ts";

/** What is told of maps and programs, in the kernel's field names. Sizes are bytes. */

export interface MapInfo {
  kind: "map";
  id: number;
  map_type: string;
  map_name: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_extra: number;
  frozen: boolean;
  refcnt: number;
  usercnt: number;
  /** Elements now; in an array of objects the filled slots, in a Bloom filter the values pushed. */
  entries: number;
  /** Elements that went to make room for others. */
  evictions: number;
  /** Updates refused for want of room. */
  failed_updates: number;
  /** Grows with every change of elements. */
  revision: number;
  /** Of a per-CPU map: a value has so many parts. */
  cpus?: number;
  /** How people read its keys and values. */
  schema?: Schema;
}

export interface ProgInfo {
  kind: "prog";
  id: number;
  prog_type: string;
  prog_name: string;
  tag: string;
  license: string;
  gpl_compatible: boolean;
  map_ids: number[];
  insn_cnt: number;
  load_time: string;
  created_by_uid: number;
  expected_attach_type: number;
  refcnt: number;
}

export interface Holders {
  files: { file: number; session: number; references: number }[];
  inodes: number[];
  progs: number[];
  slots: { map_id: number; count: number }[];
  /** More holders than are listed. */
  truncated?: boolean;
}

export function mapInfo(id: number, value: Value | undefined): MapInfo {
  const [type, name, keys, values, max, flags, extra, frozen, refcnt, usercnt, ...rest] =
    list(value);
  const [cpus, evicted, failed, revision, schema, entries] = rest;
  return {
    kind: "map",
    id,
    map_type: text(type),
    map_name: text(name),
    key_size: number(keys),
    value_size: number(values),
    max_entries: number(max),
    map_flags: number(flags),
    map_extra: number(extra),
    frozen: number(frozen) === 1,
    refcnt: number(refcnt),
    usercnt: number(usercnt),
    entries: number(entries),
    evictions: number(evicted),
    failed_updates: number(failed),
    revision: number(revision),
    ...(cpus ? { cpus: number(cpus) } : {}),
    ...(schema ? { schema: parseSchema(text(schema)) } : {}),
  };
}

export function progInfo(id: number, value: Value | undefined): ProgInfo {
  const [type, name, tag, license, gpl, insns, loaded, uid, attach, refcnt, maps] = list(value);
  return {
    kind: "prog",
    id,
    prog_type: text(type),
    prog_name: text(name),
    tag: text(tag),
    license: text(license),
    gpl_compatible: number(gpl) === 1,
    map_ids: list(maps).map(number),
    insn_cnt: number(insns),
    load_time: time(loaded),
    created_by_uid: number(uid),
    expected_attach_type: number(attach),
    refcnt: number(refcnt),
  };
}

/** A page of infos, each with its id before it. */
export function infos<T>(page: Value | undefined, info: (id: number, fields?: Value) => T): T[] {
  return list(page).map((row) => {
    const [id, fields] = list(row);
    return info(number(id), fields);
  });
}

export function holders(rows: Value | undefined, truncated: boolean): Holders {
  const held: Holders = { files: [], inodes: [], progs: [], slots: [] };
  for (const row of list(rows)) {
    const [holder, count, session, references] = list(row);
    const [noun, n] = text(holder).split(":");
    const id = Number(n);
    if (noun === "file") {
      held.files.push({ file: id, session: number(session), references: number(references) });
    } else if (noun === "inode") held.inodes.push(id);
    else if (noun === "prog") held.progs.push(id);
    else held.slots.push({ map_id: id, count: number(count) });
  }
  held.files.sort((a, b) => a.file - b.file);
  held.inodes.sort((a, b) => a - b);
  held.progs.sort((a, b) => a - b);
  held.slots.sort((a, b) => a.map_id - b.map_id);
  return truncated ? { ...held, truncated } : held;
}
