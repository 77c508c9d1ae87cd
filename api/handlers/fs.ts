import type { NodeInfo } from "../../domain/commands/fs.ts";
import { createOnly } from "../codec/etag.ts";
import { parsePath } from "../codec/paths.ts";
import {
  created,
  type Handler,
  type HandlerRequest,
  noContent,
  ok,
  pageOf,
  query,
} from "../handler.ts";

/** The pin tree: show, create, change, remove and rename its nodes. */

type FsCreateBody =
  | { type: "pin"; fd: number; file_flags?: number }
  | { type: "directory"; mode?: string }
  | { type: "symlink"; target: string }
  | { type: "link"; from: string };

interface FsAttributesBody {
  mode?: string;
  uid?: number;
  gid?: number;
}

function path(request: HandlerRequest): string {
  return parsePath(query(request, "path"), "path");
}

const octal = (text: string) => Number.parseInt(text, 8);

const fsStat: Handler = async ({ kernel }, request) =>
  ok(
    await kernel.stat(request.call, path(request), {
      follow: query(request, "follow"),
      entries: query(request, "entries"),
      ...pageOf(request),
      type: query(request, "type"),
    }),
  );

/** The URL of a node itself, where a path to a symlink would lead to its target. */
function nodeUrl(at: string, { type }: NodeInfo): string {
  const url = `/v1/fs?path=${encodeURIComponent(at).replaceAll("%2F", "/")}`;
  return type === "symlink" ? `${url}&follow=false` : url;
}

const fsCreate: Handler = async ({ kernel }, request) => {
  const { call } = request;
  const [at, body] = [path(request), request.body as FsCreateBody];
  const create = () => {
    switch (body.type) {
      case "pin":
        return kernel.objPin(call, at, body.fd, body.file_flags ?? 0);
      case "directory":
        return kernel.mkdir(call, at, octal(body.mode ?? "0777"));
      case "symlink":
        return kernel.symlink(call, at, parsePath(body.target, "target"));
      case "link":
        return kernel.link(call, at, parsePath(body.from, "from"));
    }
  };
  const node = await createOnly(request, create());
  return created(node, nodeUrl(at, node));
};

const fsUpdate: Handler = async ({ kernel }, request) => {
  const { mode, ...owner } = request.body as FsAttributesBody;
  const attributes = mode === undefined ? owner : { ...owner, mode: octal(mode) };
  return ok(await kernel.setattr(request.call, path(request), attributes));
};

const fsRemove: Handler = async ({ kernel }, request) => {
  if (query(request, "recursive")) await kernel.unlinkTree(request.call, path(request));
  else if (query(request, "type") === "directory") await kernel.rmdir(request.call, path(request));
  else await kernel.unlink(request.call, path(request));
  return noContent;
};

const fsRename: Handler = async ({ kernel }, request) => {
  const { from, to } = request.body as { from: string; to: string };
  await kernel.rename(request.call, parsePath(from, "from"), parsePath(to, "to"));
  return noContent;
};

export const fs = { fsStat, fsCreate, fsUpdate, fsRemove, fsRename };
