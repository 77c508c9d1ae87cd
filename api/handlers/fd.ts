import { INFO_ROOM, type InfoRoom } from "../../domain/commands/fd.ts";
import { parsePath } from "../codec/paths.ts";
import {
  createdFd,
  type Handler,
  type HandlerRequest,
  noContent,
  ok,
  pageOf,
  pathNumber,
  query,
} from "../handler.ts";

/** File descriptors: open, list, show, close, duplicate, send and receive them. */

type FdOpenBody =
  | { path: string; file_flags?: number }
  | { map_id: number; open_flags?: number }
  | { btf_id: number; open_flags?: number }
  | { prog_id: number };

const fdList: Handler = async ({ kernel }, request) =>
  ok(await kernel.fdList(request.call, { ...pageOf(request), kind: query(request, "kind") }));

const fdOpen: Handler = async ({ kernel }, request) => {
  const body = request.body as FdOpenBody;
  if ("path" in body) {
    const path = parsePath(body.path, "path");
    return createdFd(await kernel.objGet(request.call, path, body.file_flags ?? 0));
  }
  if ("map_id" in body) {
    return createdFd(await kernel.mapGetFdById(request.call, body.map_id, body.open_flags ?? 0));
  }
  if ("btf_id" in body) {
    return createdFd(await kernel.btfGetFdById(request.call, body.btf_id, body.open_flags ?? 0));
  }
  return createdFd(await kernel.progGetFdById(request.call, body.prog_id));
};

/** Room for the parts of an object. */
const roomOf = (request: HandlerRequest): InfoRoom =>
  Object.fromEntries(INFO_ROOM.map((name) => [name, query(request, name)]));

const fdGet: Handler = async ({ kernel }, request) =>
  ok(await kernel.objGetInfoByFd(request.call, pathNumber(request, "fd"), roomOf(request)));

const fdClose: Handler = async ({ kernel }, request) => {
  await kernel.close(request.call, pathNumber(request, "fd"));
  return noContent;
};

const fdDup: Handler = async ({ kernel }, request) =>
  createdFd(await kernel.dup(request.call, pathNumber(request, "fd")));

const fdSend: Handler = async ({ kernel }, request) => {
  const { session } = request.body as { session: number };
  await kernel.sendmsg(request.call, pathNumber(request, "fd"), session);
  return { status: 202, body: {} };
};

const fdReceive: Handler = async ({ kernel }, request) =>
  createdFd(await kernel.recvmsg(request.call));

export const fds = { fdList, fdOpen, fdGet, fdClose, fdDup, fdSend, fdReceive };
