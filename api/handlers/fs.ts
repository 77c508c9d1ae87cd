import type { Request } from "express";
import { created, done, type Handler, ok, query } from "../handler.ts";
import { parsePath } from "../paths.ts";

/** The bpffs tree: pins, directories, links. */

type Put =
  | { type: "pin"; fd: number; file_flags?: number }
  | { type: "directory"; mode?: string }
  | { type: "symlink"; target: string }
  | { type: "link"; from: string };

interface Attributes {
  mode?: string;
  uid?: number;
  gid?: number;
}

function path(req: Request): string {
  return parsePath(query(req, "path"), "/query/path");
}

const octal = (text: string) => Number.parseInt(text, 8);

const fsStat: Handler = async ({ kernel }, { req, call }) =>
  ok(
    await kernel.stat(call, path(req), {
      follow: query(req, "follow"),
      entries: query(req, "entries"),
      cursor: query<string | undefined>(req, "cursor") ?? "",
      limit: query(req, "limit"),
    }),
  );

const fsPut: Handler = async ({ kernel }, { req, call }) => {
  const body = req.body as Put;
  switch (body.type) {
    case "pin":
      return created(await kernel.objPin(call, path(req), body.fd, body.file_flags ?? 0));
    case "directory":
      return created(await kernel.mkdir(call, path(req), octal(body.mode ?? "0777")));
    case "symlink":
      return created(await kernel.symlink(call, path(req), parsePath(body.target, "/body/target")));
    case "link":
      return created(await kernel.link(call, path(req), parsePath(body.from, "/body/from")));
  }
};

const fsSet: Handler = async ({ kernel }, { req, call }) => {
  const { mode, ...owner } = req.body as Attributes;
  const attributes = mode === undefined ? owner : { ...owner, mode: octal(mode) };
  return ok(await kernel.setattr(call, path(req), attributes));
};

const fsRemove: Handler = async ({ kernel }, { req, call }) => {
  if (query(req, "recursive")) await kernel.unlinkTree(call, path(req));
  else if (query(req, "type") === "directory") await kernel.rmdir(call, path(req));
  else await kernel.unlink(call, path(req));
  return done;
};

const rename: Handler = async ({ kernel }, { req, call }) => {
  const { from, to } = req.body as { from: string; to: string };
  await kernel.rename(call, parsePath(from, "/body/from"), parsePath(to, "/body/to"));
  return done;
};

export const fs = { fsStat, fsPut, fsSet, fsRemove, rename };
