import {
  BTF_INFO,
  FUNC_INFO_BYTES,
  LINE_INFO_BYTES,
  MAP_INFO,
  PROG_INFO,
} from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { list, nameFields, number, text, time } from "../redis/reply.ts";
import { parseSchema, type Schema } from "../schema/schema.ts";

/** Decodes the info of maps, programs and BTF objects, with the kernel's field names. Sizes are bytes. */

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
  /** Current elements: filled slots of an array of objects, pushed values of a Bloom filter. */
  entries: number;
  /** Elements that were evicted to make room for others. */
  evictions: number;
  /** Updates that failed because the map was full. */
  failed_updates: number;
  /** Grows with every change of elements. */
  revision: number;
  /** Parts of each value of a per-CPU map. */
  cpus?: number;
  /** The types with which keys and values are read and written as JSON. */
  schema?: Schema;
  /** The BTF object of its types, and their ids in it. */
  btf_id?: number;
  btf_key_type_id?: number;
  btf_value_type_id?: number;
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
  /** The BTF object of its functions and lines, and how many of each are described. */
  btf_id?: number;
  nr_func_info?: number;
  func_info_rec_size?: number;
  nr_line_info?: number;
  line_info_rec_size?: number;
}

export interface BtfInfo {
  kind: "btf";
  id: number;
  btf_size: number;
  /** Empty, because only the kernel's own BTF has a name. */
  name: string;
  kernel_btf: boolean;
  refcnt: number;
}

export interface BtfHolders extends Pick<ObjectHolders, "files" | "progs" | "truncated"> {
  maps: number[];
}

export interface ObjectHolders {
  files: { file: number; session: number; references: number }[];
  inodes: number[];
  progs: number[];
  slots: { map_id: number; count: number }[];
  /** True when there are more holders than listed. */
  truncated?: boolean;
}

export function mapInfo(id: number, value: RedisValue | undefined): MapInfo {
  const map = nameFields(MAP_INFO, list(value));
  return {
    kind: "map",
    id,
    map_type: text(map.map_type),
    map_name: text(map.map_name),
    key_size: number(map.key_size),
    value_size: number(map.value_size),
    max_entries: number(map.max_entries),
    map_flags: number(map.map_flags),
    map_extra: number(map.map_extra),
    frozen: number(map.frozen) === 1,
    refcnt: number(map.refcnt),
    usercnt: number(map.usercnt),
    entries: number(map.entries),
    evictions: number(map.evicted),
    failed_updates: number(map.failed),
    revision: number(map.revision),
    ...(map.cpus ? { cpus: number(map.cpus) } : {}),
    ...(map.schema ? { schema: parseSchema(text(map.schema)) } : {}),
    ...(map.btf_id
      ? {
          btf_id: number(map.btf_id),
          btf_key_type_id: number(map.btf_key_type_id),
          btf_value_type_id: number(map.btf_value_type_id),
        }
      : {}),
  };
}

export function progInfo(id: number, value: RedisValue | undefined): ProgInfo {
  const fields = list(value);
  const prog = nameFields(PROG_INFO, fields);
  return {
    kind: "prog",
    id,
    prog_type: text(prog.prog_type),
    prog_name: text(prog.prog_name),
    tag: text(prog.tag),
    license: text(prog.license),
    gpl_compatible: number(prog.gpl_compatible) === 1,
    map_ids: list(fields[PROG_INFO.length]).map(number),
    insn_cnt: number(prog.insn_cnt),
    load_time: time(prog.load_time),
    created_by_uid: number(prog.created_by_uid),
    expected_attach_type: number(prog.expected_attach_type),
    refcnt: number(prog.refcnt),
    ...(prog.btf_id
      ? {
          btf_id: number(prog.btf_id),
          nr_func_info: number(prog.nr_func_info),
          func_info_rec_size: FUNC_INFO_BYTES,
          nr_line_info: number(prog.nr_line_info),
          line_info_rec_size: LINE_INFO_BYTES,
        }
      : {}),
  };
}

export function btfInfo(id: number, value: RedisValue | undefined): BtfInfo {
  const btf = nameFields(BTF_INFO, list(value));
  const [btf_size, refcnt] = [number(btf.btf_size), number(btf.refcnt)];
  return { kind: "btf", id, btf_size, name: "", kernel_btf: false, refcnt };
}

/** Decodes a page of rows, each an id and its info. */
export function infos<T>(
  page: RedisValue | undefined,
  info: (id: number, fields?: RedisValue) => T,
): T[] {
  return list(page).map((row) => {
    const [id, fields] = list(row);
    return info(number(id), fields);
  });
}

export function holders(rows: RedisValue | undefined, truncated: boolean): ObjectHolders {
  const held: ObjectHolders = { files: [], inodes: [], progs: [], slots: [] };
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

export function btfHolders(rows: RedisValue | undefined, truncated: boolean): BtfHolders {
  const isMap = (row: RedisValue) => text(list(row)[0]).startsWith("map:");
  const maps = list(rows).filter(isMap);
  const others = list(rows).filter((row) => !isMap(row));
  const { files, progs } = holders(others, false);
  const ids = maps.map((row) => Number(text(list(row)[0]).split(":")[1]));
  const held = { files, maps: ids.sort((a, b) => a - b), progs };
  return truncated ? { ...held, truncated } : held;
}
