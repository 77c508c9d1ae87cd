import { type Call, optional, type RunCommand } from "../redis/command.ts";
import { MAP_CREATE } from "../redis/records.ts";
import { number } from "../redis/reply.ts";
import { readSchema } from "../schema/offload_parsing.ts";
import type { SchemaAttr } from "../schema/schema.ts";
import { nextCursor, readStart, type StartedPageRequest } from "./cursor.ts";
import { holders, infos, mapInfo } from "./info.ts";

/** Commands that create, list and freeze maps. Sizes are bytes. */

export interface MapAttr {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_name: string;
  map_extra: string;
  /** The fd of the template that a map of maps needs. */
  inner_map_fd?: number | undefined;
  schema?: SchemaAttr | undefined;
  /** The fd of a BTF object, and ids of types in it; 0 for none. */
  btf_fd?: number | undefined;
  btf_key_type_id?: number | undefined;
  btf_value_type_id?: number | undefined;
  btf_vmlinux_value_type_id?: number | undefined;
}

/** A page of maps; the filters select them by type, and by name or the beginning of one with a *. */
export interface MapPageRequest extends StartedPageRequest {
  map_type?: string | undefined;
  map_name?: string | undefined;
}

export function mapCommands(run: RunCommand) {
  return {
    async mapCreate(call: Call, a: MapAttr) {
      const read = a.schema && (await readSchema(call, a.schema, a.key_size, a.value_size));
      const described = { schema: read?.stored ?? "", locks: read?.locks.join() ?? "" };
      const types = {
        btf_fd: a.btf_fd ?? 0,
        btf_key_type_id: a.btf_key_type_id ?? 0,
        btf_value_type_id: a.btf_value_type_id ?? 0,
        btf_vmlinux_value_type_id: a.btf_vmlinux_value_type_id ?? 0,
      };
      const attr = { ...a, inner_map_fd: optional(a.inner_map_fd), ...described, ...types };
      const args = MAP_CREATE.map((field) => attr[field]);
      const [fd, id] = await run(call, "map_create", ...args);
      return { fd: number(fd), id: number(id) };
    },

    async mapGetNextId(call: Call, request: MapPageRequest) {
      const { limit, map_type = "", map_name = "" } = request;
      const filters = [map_type, map_name];
      const reply = await run(call, "map_get_next_id", readStart(request), limit, ...filters);
      const [page, last] = reply;
      return { maps: infos(page, mapInfo), ...nextCursor(last) };
    },

    async mapGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "map_get", id);
      return { ...mapInfo(id, fields), holders: holders(rows, more === 1) };
    },

    mapFreeze: (call: Call, fd: number) => run(call, "map_freeze", fd),
  };
}
