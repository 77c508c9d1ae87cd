import { created, done, type Handler, ok, pathNumber, query } from "../handler.ts";
import { parsePath } from "../paths.ts";

/** File descriptors: opened, shown, closed, doubled, passed on. */

type Open =
  | { path: string; file_flags?: number }
  | { map_id: number; open_flags?: number }
  | { prog_id: number };

const fdList: Handler = async ({ kernel }, { req, call }) =>
  ok(await kernel.fdList(call, query(req, "start_fd"), query(req, "limit")));

const fdOpen: Handler = async ({ kernel }, { req, call }) => {
  const body = req.body as Open;
  if ("path" in body) {
    const path = parsePath(body.path, "/body/path");
    return created(await kernel.objGet(call, path, body.file_flags ?? 0));
  }
  if ("map_id" in body) {
    return created(await kernel.mapGetFdById(call, body.map_id, body.open_flags ?? 0));
  }
  return created(await kernel.progGetFdById(call, body.prog_id));
};

const objGetInfoByFd: Handler = async ({ kernel }, { req, call }) =>
  ok(await kernel.objGetInfoByFd(call, pathNumber(req, "fd")));

const fdClose: Handler = async ({ kernel }, { req, call }) => {
  await kernel.close(call, pathNumber(req, "fd"));
  return done;
};

const fdDup: Handler = async ({ kernel }, { req, call }) =>
  created(await kernel.dup(call, pathNumber(req, "fd")));

const fdSend: Handler = async ({ kernel }, { req, call }) => {
  const { session } = req.body as { session: number };
  await kernel.sendmsg(call, pathNumber(req, "fd"), session);
  return { status: 202, body: {} };
};

const fdReceive: Handler = async ({ kernel }, { call }) => created(await kernel.recvmsg(call));

export const fds = { fdList, fdOpen, objGetInfoByFd, fdClose, fdDup, fdSend, fdReceive };
