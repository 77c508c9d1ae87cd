import { type Call, optional, type RunCommand } from "../redis/command.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { bytes, number, octal, pairs, text } from "../redis/reply.ts";
import { directoryCursor, type PageRequest, readDirectoryCursor } from "./cursor.ts";

/** Commands of the bpffs tree. Modes are numbers in arguments and octal text in replies. */

export type NodeInfo = { mode: string; uid: number; gid: number; nlink: number; ino: number } & (
  | { type: "directory"; entries?: { name: string; type: string }[]; next_cursor?: string }
  | { type: "map" | "prog"; id: number }
  | { type: "symlink"; target: string }
);

export interface StatOptions extends PageRequest {
  follow: boolean;
  entries: boolean;
  /** Lists entries of this type alone. */
  type?: NodeInfo["type"] | undefined;
}

export interface NodeAttributes {
  mode?: number;
  uid?: number;
  gid?: number;
}

function nodeInfo(value: RedisValue[]): NodeInfo {
  const [kind, mode, uid, gid, nlink, ino, object] = value;
  const common = {
    mode: octal(text(mode)),
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

/** Sorts names as ls(1) does in the C locale. */
function entriesOf(page: RedisValue | undefined) {
  return pairs(page)
    .map(([name, type]) => ({ name: bytes(name), type: text(type) }))
    .sort((a, b) => a.name.compare(b.name))
    .map(({ name, type }) => ({ name: name.toString(), type }));
}

export function fsCommands(run: RunCommand) {
  const toNode = async (answer: Promise<RedisValue[]>) => nodeInfo(await answer);
  return {
    objPin: (call: Call, path: string, fd: number, flags: number) =>
      toNode(run(call, "obj_pin", path, fd, flags)),
    mkdir: (call: Call, path: string, mode: number) => toNode(run(call, "mkdir", path, mode)),
    symlink: (call: Call, path: string, target: string) =>
      toNode(run(call, "symlink", path, target)),
    link: (call: Call, path: string, from: string) => toNode(run(call, "link", path, from)),

    async stat(call: Call, path: string, how: StatOptions): Promise<NodeInfo> {
      const flags = [how.follow ? 1 : 0, how.entries ? 1 : 0];
      const place = readDirectoryCursor(how.cursor);
      const which = [...place, how.limit, how.type ?? ""];
      const [page, last, ...node] = await run(call, "stat", path, ...flags, ...which);
      const info = nodeInfo(node);
      if (info.type !== "directory" || page === null) return info;
      return { ...info, entries: entriesOf(page), ...directoryCursor(last) };
    },

    setattr: (call: Call, path: string, { mode, uid, gid }: NodeAttributes) =>
      toNode(run(call, "setattr", path, ...[mode, uid, gid].map(optional))),

    unlink: (call: Call, path: string) => run(call, "unlink", path),
    rmdir: (call: Call, path: string) => run(call, "rmdir", path),
    unlinkTree: (call: Call, path: string) => run(call, "unlink_tree", path),
    rename: (call: Call, from: string, to: string) => run(call, "rename", from, to),
  };
}
