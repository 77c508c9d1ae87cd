import { type Call, next, number, optional, type Run } from "./call.ts";
import { holders, infos, mapInfo } from "./object.ts";
import { readSchema } from "./reader.ts";
import type { SchemaAttr } from "./schema/schema.ts";

/** Maps as objects: made, listed, frozen. Sizes are bytes. */

export interface MapAttr {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_name: string;
  map_extra: string;
  /** Of the template of a map of maps. */
  inner_map_fd?: number | undefined;
  schema?: SchemaAttr | undefined;
}

export function mapCommands(run: Run) {
  return {
    async mapCreate(call: Call, a: MapAttr) {
      const sizes = [a.key_size, a.value_size, a.max_entries];
      const schema = a.schema && (await readSchema(a.schema, a.key_size, a.value_size));
      const more = [a.map_flags, a.map_name, a.map_extra, optional(a.inner_map_fd)];
      const described = [schema?.stored ?? "", schema?.locks.join() ?? ""];
      const [fd, id] = await run(call, "map_create", a.map_type, ...sizes, ...more, ...described);
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
