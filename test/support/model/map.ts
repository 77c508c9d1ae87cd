import { access, adopt } from "./elem.ts";
import { accessMode, fget, fgetKind, needAdmin, open } from "./process.ts";
import {
  type BpfObject,
  fail,
  holders,
  type MapObject,
  type ModelProcess,
  type ModelState,
  refcnt,
  usercnt,
} from "./state.ts";

/** Models how maps and programs are created, bound, frozen and shown. */

export interface ModelMapAttr {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_name: string;
}

const RDONLY_WRONLY = 24;
/** Besides access modes, a type accepts BPF_F_NO_PREALLOC, BPF_F_MMAPABLE or BPF_F_INNER_MAP. */
const KNOWN: Record<string, number> = { hash: 1, array: 1024 | 4096, prog_array: 0 };

function allocCheck(attr: ModelMapAttr): void {
  const { map_type, key_size, value_size, max_entries, map_flags } = attr;
  if ((map_flags & ~((KNOWN[map_type] ?? 0) | RDONLY_WRONLY)) !== 0) fail("EINVAL");
  if (max_entries === 0 || key_size === 0 || value_size === 0) fail("EINVAL");
  if (map_type !== "hash" && key_size !== 4) fail("EINVAL");
  if (map_type === "prog_array" && value_size !== 4) fail("EINVAL");
}

function entries(map: MapObject): number {
  if (map.type === "array") return map.maxEntries;
  return map.type === "hash" ? map.elements.size : map.slots.size;
}

export function info(state: ModelState, object: BpfObject) {
  const { kind, id, type } = object;
  const counted = { kind, id, refcnt: refcnt(state, object) };
  if (object.kind === "prog") {
    const map_ids = object.maps.map((map) => map.id);
    return { ...counted, prog_type: type, map_ids, created_by_uid: object.uid };
  }
  return {
    ...{ ...counted, usercnt: usercnt(state, object), entries: entries(object) },
    ...{ map_type: type, map_name: object.name, value_size: object.valueSize },
    ...{ max_entries: object.maxEntries, map_flags: object.flags, frozen: object.frozen },
  };
}

export const maps = {
  mapCreate(state: ModelState, process: ModelProcess, attr: ModelMapAttr) {
    const mode = accessMode(attr.map_flags & RDONLY_WRONLY);
    allocCheck(attr);
    needAdmin(process);
    if (!/^[\w.]{0,15}$/.test(attr.map_name)) fail("EINVAL");
    // The kernel allocates the id before the fd, so EMFILE consumes an id.
    state.last.map += 1;
    const { map: id } = state.last;
    const { map_type: type, value_size: valueSize, max_entries: maxEntries } = attr;
    const parts = { elements: new Map(), slots: new Map(), frozen: false, owner: undefined };
    const flags = attr.map_flags & ~RDONLY_WRONLY;
    const map: MapObject = {
      kind: "map",
      id,
      type,
      valueSize,
      maxEntries,
      flags,
      name: attr.map_name,
      ...parts,
    };
    const fd = open(state, process, map, mode);
    state.maps.set(id, map);
    return { fd, id };
  },

  progLoad(state: ModelState, process: ModelProcess, type: string, fds: number[]) {
    needAdmin(process);
    const used = fds.map((fd) => fgetKind(process, fd, "map").object);
    const named = [...new Set(used)];
    // Linux sets the owners one by one and does not undo that when the load fails later.
    for (const map of named) adopt(map, type);
    state.last.prog += 1;
    const { prog: id } = state.last;
    const prog = { kind: "prog" as const, id, type, uid: process.uid, maps: named };
    const fd = open(state, process, prog, 3);
    state.progs.set(id, prog);
    return { fd, id };
  },

  bindMap(_: ModelState, process: ModelProcess, fd: number, mapFd: number) {
    const prog = fgetKind(process, fd, "prog").object;
    const map = fgetKind(process, mapFd, "map").object;
    if (!prog.maps.includes(map)) prog.maps.push(map);
    return {};
  },

  freeze(_: ModelState, process: ModelProcess, fd: number) {
    access(process, fd, 2).frozen = true;
    return {};
  },

  info(state: ModelState, process: ModelProcess, fd: number) {
    const { object, mode } = fget(process, fd, "EBADFD");
    return { ...info(state, object), fd, file_flags: [0, 8, 16, 0][mode] };
  },

  objectById(state: ModelState, process: ModelProcess, kind: "map" | "prog", id: number) {
    needAdmin(process);
    const object = (kind === "map" ? state.maps : state.progs).get(id) ?? fail("ENOENT");
    return { ...info(state, object), holders: holders(state, object) };
  },
};
