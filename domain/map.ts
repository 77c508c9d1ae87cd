import { bytes, type Call, next, number, pairs, type Run } from "./call.ts";
import { holders, infos, mapInfo } from "./object.ts";

/** Maps and their elements. Keys and values are bytes as the kernel takes them. */

export interface MapAttr {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_name: string;
  map_extra: string;
}

export function mapCommands(run: Run) {
  return {
    async mapCreate(call: Call, a: MapAttr) {
      const sizes = [a.key_size, a.value_size, a.max_entries];
      const more = [a.map_flags, a.map_name, a.map_extra];
      const [fd, id] = await run(call, "map_create", a.map_type, ...sizes, ...more);
      return { fd: number(fd), id: number(id) };
    },

    async mapGetNextId(call: Call, start: number, limit: number) {
      const [page, more] = await run(call, "map_get_next_id", start, limit);
      return { maps: infos(page, mapInfo), ...next(more) };
    },

    async mapGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "map_get", id);
      return { ...mapInfo(id, fields), holders: holders(rows, more === 1) };
    },

    mapFreeze: (call: Call, fd: number) => run(call, "map_freeze", fd),
  };
}

export function elemCommands(run: Run) {
  return {
    /** `id`: the value is the id of the object in the slot. */
    async mapLookupElem(call: Call, fd: number, key: Buffer, flags: number) {
      const [value, id] = await run(call, "map_lookup_elem", fd, key, flags);
      return { value: bytes(value), id: id === 1 };
    },

    mapUpdateElem: (call: Call, fd: number, key: Buffer, value: Buffer, flags: number) =>
      run(call, "map_update_elem", fd, key, value, flags),

    mapDeleteElem: (call: Call, fd: number, key: Buffer) => run(call, "map_delete_elem", fd, key),

    async mapLookupAndDeleteElem(call: Call, fd: number, key: Buffer, flags: number) {
      return bytes((await run(call, "map_lookup_and_delete_elem", fd, key, flags))[0]);
    },

    /** @param key undefined for the first key. */
    async mapGetNextKey(call: Call, fd: number, key: Buffer | undefined) {
      return bytes((await run(call, "map_get_next_key", fd, key ? 1 : 0, key ?? ""))[0]);
    },

    /** A page of elements; `ids`: the values are ids of objects. */
    async mapDump(call: Call, fd: number, cursor: Buffer | undefined, limit: number) {
      const [page, rest, ids] = await run(call, "map_dump", fd, cursor ?? "", limit);
      const elements = pairs(page).map(([key, value]) => ({
        key: bytes(key),
        value: bytes(value),
      }));
      return { elements, cursor: (rest as Buffer | null) ?? undefined, ids: ids === 1 };
    },
  };
}
