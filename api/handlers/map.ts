import type { SchemaAttr } from "../../domain/schema/schema.ts";
import { cancellableCall } from "../cancellation.ts";
import {
  createdFd,
  type Handler,
  noContent,
  ok,
  pathNumber,
  query,
  startedPageOf,
} from "../handler.ts";

/** Maps: create, list, show and freeze them. */

interface MapCreateBody {
  map_type?: string | number;
  key_size?: number;
  value_size?: number;
  max_entries?: number;
  map_flags?: number;
  map_name?: string;
  map_extra?: number | string;
  inner_map_fd?: number;
  schema?: SchemaAttr;
  btf_fd?: number;
  btf_key_type_id?: number;
  btf_value_type_id?: number;
  btf_vmlinux_value_type_id?: number;
}

const mapCreate: Handler = async ({ kernel }, request) => {
  const body = request.body as MapCreateBody;
  return createdFd(
    await kernel.mapCreate(cancellableCall(request), {
      map_type: String(body.map_type ?? "hash"),
      key_size: body.key_size ?? 0,
      value_size: body.value_size ?? 0,
      max_entries: body.max_entries ?? 0,
      map_flags: body.map_flags ?? 0,
      map_name: body.map_name ?? "",
      map_extra: String(body.map_extra ?? 0),
      inner_map_fd: body.inner_map_fd,
      schema: body.schema,
      btf_fd: body.btf_fd,
      btf_key_type_id: body.btf_key_type_id,
      btf_value_type_id: body.btf_value_type_id,
      btf_vmlinux_value_type_id: body.btf_vmlinux_value_type_id,
    }),
  );
};

const mapList: Handler = async ({ kernel }, request) =>
  ok(
    await kernel.mapGetNextId(request.call, {
      ...startedPageOf(request),
      map_type: query(request, "map_type"),
      map_name: query(request, "map_name"),
    }),
  );

const mapGet: Handler = async ({ kernel }, request) =>
  ok(await kernel.mapGet(request.call, pathNumber(request, "id")));

const mapFreeze: Handler = async ({ kernel }, request) => {
  await kernel.mapFreeze(request.call, pathNumber(request, "fd"));
  return noContent;
};

export const maps = { mapCreate, mapList, mapGet, mapFreeze };
