import type { Value } from "./script.ts";

/** What the commands answer, in the kernel's field names: flat replies become objects here. */

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
  /** Elements now; in a program array the filled slots. */
  entries: number;
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

export interface SessionInfo {
  id: number;
  namespace: string;
  label: string;
  uid: number;
  gid: number;
  groups: number[];
  capabilities: string[];
  umask: string;
  ttl_ms: number;
  nofile: number;
  created_at: string;
  expires_at: string;
  fd_count: number;
}

export type NodeInfo = { mode: string; uid: number; gid: number; nlink: number; ino: number } & (
  | { type: "directory"; entries?: { name: string; type: string }[]; next?: string }
  | { type: "map" | "prog"; id: number }
  | { type: "symlink"; target: string }
);

/** enum of linux/capability.h, in its order. */
export const CAPABILITIES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE " +
  "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO " +
  "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME " +
  "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG " +
  "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

export function text(value: Value | undefined): string {
  return value === null || value === undefined ? "" : value.toString();
}

export function number(value: Value | undefined): number {
  return Number(text(value));
}

export function list(value: Value | undefined): Value[] {
  return Array.isArray(value) ? value : [];
}

/** Pairs of a reply in which two kinds of values take turns. */
export function pairs(value: Value | undefined): [Value, Value][] {
  const flat = list(value);
  return Array.from({ length: flat.length / 2 }, (_, i) => [
    flat[2 * i] ?? null,
    flat[2 * i + 1] ?? null,
  ]);
}

export function time(value: Value | undefined): string {
  return new Date(number(value)).toISOString();
}

export function octal(mode: Value | string | undefined): string {
  return Number(mode ?? 0)
    .toString(8)
    .padStart(4, "0");
}

function numbers(commas: string): number[] {
  return commas.split(",").filter(Boolean).map(Number);
}

export function mapInfo(id: number, value: Value | undefined): MapInfo {
  const [type, name, keys, values, max, flags, extra, frozen, refcnt, usercnt, entries] =
    list(value);
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

export function objectInfo(kind: string, id: number, value: Value | undefined): MapInfo | ProgInfo {
  return kind === "map" ? mapInfo(id, value) : progInfo(id, value);
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
  return truncated ? { ...held, truncated } : held;
}

export function sessionInfo(namespace: string, value: Value | undefined): SessionInfo {
  const field = new Map(pairs(value).map(([name, stored]) => [text(name), text(stored)]));
  const get = (name: string) => field.get(name) ?? "";
  return {
    id: Number(get("id")),
    namespace,
    label: get("label"),
    uid: Number(get("uid")),
    gid: Number(get("gid")),
    groups: numbers(get("groups")),
    capabilities: get("caps") === "*" ? CAPABILITIES : get("caps").split(",").filter(Boolean),
    umask: octal(get("umask")),
    ttl_ms: Number(get("ttl")),
    nofile: Number(get("nofile")),
    created_at: new Date(Number(get("created"))).toISOString(),
    expires_at: new Date(Number(get("expires"))).toISOString(),
    fd_count: Number(get("fd_count")),
  };
}

export function nodeInfo(value: Value[]): NodeInfo {
  const [kind, mode, uid, gid, nlink, ino, object] = value;
  const common = {
    mode: octal(mode),
    uid: number(uid),
    gid: number(gid),
    nlink: number(nlink),
    ino: number(ino),
  };
  const type = text(kind);
  if (type === "symlink") return { type, target: text(object), ...common };
  if (type === "directory") return { type, ...common };
  return { type: type === "map" ? "map" : "prog", id: number(object), ...common };
}
