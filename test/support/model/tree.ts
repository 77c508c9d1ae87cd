import { accessMode, fget, isRoot, open } from "./process.ts";
import {
  allNames,
  type BpfObject,
  fail,
  type ModelNode,
  type ModelProcess,
  type ModelState,
  type OpenFile,
} from "./state.ts";
import {
  checkName,
  lookup,
  mayDelete,
  need,
  parent,
  permitted,
  resolve,
  type WalkPlace,
} from "./walk.ts";

/** Models the bpffs tree: pins, directories, symlinks, hard links, and their removal. */

const UMASK = 0o022;

const all = (errno: string) => ({ "": errno, ".": errno, "..": errno });
const RMDIR = { "": "EBUSY", ".": "EINVAL", "..": "ENOTEMPTY" };

function nlink(root: ModelNode, node: ModelNode): number {
  const children = [...node.names.values()];
  if (node.kind === "directory") return 2 + children.filter((c) => c.kind === "directory").length;
  return allNames(root).filter(([, named]) => named === node).length;
}

function attributes({ root }: ModelState, node: ModelNode) {
  const { kind: type, uid, ino, object, target } = node;
  const mode = node.mode.toString(8).padStart(4, "0");
  const common = { type, mode, uid, gid: uid, ino, nlink: nlink(root, node) };
  if (object) return { ...common, id: object.id };
  return target === undefined ? common : { ...common, target };
}

/** filename_create() returns EEXIST before it checks write permission. */
function place(
  process: ModelProcess,
  root: ModelNode,
  path: string,
  directory: boolean,
): WalkPlace {
  const at = parent(process, root, path);
  checkName(at, all("EEXIST"));
  if (lookup(at.dir, at.name)) fail("EEXIST");
  if (at.slash && !directory) fail("ENOENT");
  return at;
}

function add(
  state: ModelState,
  process: ModelProcess,
  at: WalkPlace,
  node: Omit<ModelNode, "ino" | "uid" | "names">,
) {
  need(process, at.dir, 3);
  state.last.inode += 1;
  const made: ModelNode = { ...node, ino: state.last.inode, uid: process.uid, names: new Map() };
  at.dir.names.set(at.name, made);
  return attributes(state, made);
}

function existing(at: WalkPlace): ModelNode {
  return lookup(at.dir, at.name) ?? fail("ENOENT");
}

/** With fs.protected_hardlinks, a user may link only a node it owns or may read and write. */
function mayLink(process: ModelProcess, node: ModelNode): void {
  if (isRoot(process) || process.uid === node.uid) return;
  if (!node.object || !permitted(process, node, 6)) fail("EPERM");
}

function checkRename(
  process: ModelProcess,
  from: WalkPlace,
  to: WalkPlace,
  source: ModelNode,
  target?: ModelNode,
): void {
  const directory = source.kind === "directory";
  mayDelete(process, from.dir, source, directory);
  if (target) mayDelete(process, to.dir, target, directory);
  else need(process, to.dir, 3);
  if (directory && from.dir !== to.dir) need(process, source, 2);
  if (target && target.names.size > 0) fail("ENOTEMPTY");
}

const modes: Record<number, number> = { 3: 6, 1: 4, 2: 2 };

function pinned({ object }: ModelNode): BpfObject {
  return object ?? fail("EACCES");
}

export const tree = {
  pin(state: ModelState, process: ModelProcess, path: string, fd: number, flags: number) {
    if (flags !== 0) fail("EINVAL");
    const { object }: OpenFile = fget(process, fd, "EINVAL");
    const at = place(process, state.root, path, false);
    return add(state, process, at, { kind: object.kind, mode: 0o600 & ~UMASK, object });
  },

  get(state: ModelState, process: ModelProcess, path: string, flags: number) {
    const access = accessMode(flags);
    const node = resolve(process, state.root, path, true);
    need(process, node, modes[access] ?? 0);
    const object = pinned(node);
    const fd = open(state, process, object, object.kind === "prog" ? 3 : access);
    return { fd, kind: object.kind, id: object.id };
  },

  mkdir(state: ModelState, process: ModelProcess, path: string, mode: number) {
    const at = place(process, state.root, path, true);
    return add(state, process, at, { kind: "directory", mode: mode & ~UMASK });
  },

  symlink(state: ModelState, process: ModelProcess, path: string, target: string) {
    const at = place(process, state.root, path, false);
    return add(state, process, at, { kind: "symlink", mode: 0o777, target });
  },

  link(state: ModelState, process: ModelProcess, path: string, from: string) {
    const node = resolve(process, state.root, from, false);
    const at = place(process, state.root, path, false);
    mayLink(process, node);
    need(process, at.dir, 3);
    if (node.kind === "directory") fail("EPERM");
    at.dir.names.set(at.name, node);
    return attributes(state, node);
  },

  unlink(state: ModelState, process: ModelProcess, path: string) {
    const at = parent(process, state.root, path);
    checkName(at, all("EISDIR"));
    const node = existing(at);
    if (at.slash) fail(node.kind === "directory" ? "EISDIR" : "ENOTDIR");
    mayDelete(process, at.dir, node, false);
    at.dir.names.delete(at.name);
    return {};
  },

  rmdir(state: ModelState, process: ModelProcess, path: string) {
    const at = parent(process, state.root, path);
    checkName(at, RMDIR);
    const node = existing(at);
    mayDelete(process, at.dir, node, true);
    if (node.names.size > 0) fail("ENOTEMPTY");
    at.dir.names.delete(at.name);
    return {};
  },

  /** Removes a tree as root, because the traces already test permissions. */
  unlinkTree(state: ModelState, process: ModelProcess, path: string) {
    const at = parent(process, state.root, path);
    checkName(at, RMDIR);
    existing(at);
    at.dir.names.delete(at.name);
    return {};
  },

  rename(state: ModelState, process: ModelProcess, fromPath: string, toPath: string) {
    const from = parent(process, state.root, fromPath);
    const to = parent(process, state.root, toPath);
    for (const at of [from, to]) checkName(at, all("EBUSY"));
    const source = existing(from);
    const target = lookup(to.dir, to.name);
    if (source.kind !== "directory" && (from.slash || to.slash)) fail("ENOTDIR");
    if (to.trail.includes(source)) fail("EINVAL");
    if (target && from.trail.includes(target)) fail("ENOTEMPTY");
    if (target === source) return {};
    checkRename(process, from, to, source, target);
    from.dir.names.delete(from.name);
    to.dir.names.set(to.name, source);
    return {};
  },

  chmod(state: ModelState, process: ModelProcess, path: string, mode: number) {
    const node = resolve(process, state.root, path, true);
    if (process.uid !== node.uid && !isRoot(process)) fail("EPERM");
    node.mode = mode;
    return attributes(state, node);
  },

  lstat(state: ModelState, process: ModelProcess, path: string) {
    return attributes(state, resolve(process, state.root, path, false));
  },

  readdir(state: ModelState, process: ModelProcess, path: string) {
    const node = resolve(process, state.root, path, true);
    if (node.kind !== "directory") return attributes(state, node);
    need(process, node, 4);
    const entries = [...node.names].map(([name, { kind: type }]) => ({ name, type }));
    return {
      ...attributes(state, node),
      entries: entries.sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  },
};
