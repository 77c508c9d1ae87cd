import { isRoot } from "./process.ts";
import { fail, type ModelNode, type ModelProcess } from "./state.ts";

/** Models the path walk: permissions, dots and symlinks (fs/namei.c, bpf_lookup). */

const MAX_LINKS = 40;
const NAME_MAX = 255;

/** In `mask`, 4 means read, 2 write and 1 search. */
export function permitted(process: ModelProcess, node: ModelNode, mask: number): boolean {
  if (isRoot(process)) return true;
  // A user has a single group, whose number is the uid.
  const shift = process.uid === node.uid ? 6 : 0;
  return ((node.mode >> shift) & mask) === mask;
}

export function need(process: ModelProcess, node: ModelNode, mask: number): void {
  if (!permitted(process, node, mask)) fail("EACCES");
}

export function lookup(dir: ModelNode, name: string): ModelNode | undefined {
  if (name.includes(".") && (dir.mode & 0o7777) !== 0) fail("EPERM");
  if (name.length > NAME_MAX) fail("ENAMETOOLONG");
  return dir.names.get(name);
}

const split = (path: string) => path.split("/").filter(Boolean);

export interface WalkPlace {
  /** The directories on the path; the last one contains the name. */
  trail: ModelNode[];
  dir: ModelNode;
  name: string;
  slash: boolean;
}

interface Walk {
  trail: ModelNode[];
  todo: string[];
  slash: boolean;
  links: number;
}

function begin(root: ModelNode, path: string): Walk {
  if (path === "") fail("ENOENT");
  return { trail: [root], todo: split(path), slash: path.endsWith("/"), links: 0 };
}

const here = (walk: Walk) => walk.trail.at(-1) as ModelNode;

function follow(walk: Walk, root: ModelNode, target: string): void {
  walk.links += 1;
  if (walk.links > MAX_LINKS) fail("ELOOP");
  if (walk.todo.length === 0 && target.endsWith("/")) walk.slash = true;
  if (target.startsWith("/")) walk.trail = [root];
  walk.todo.unshift(...split(target));
}

/**
 * Walks one component and returns its node if the walk ends there because it is not a directory.
 */
function step(
  walk: Walk,
  process: ModelProcess,
  root: ModelNode,
  followsLast: boolean,
): ModelNode | undefined {
  const name = walk.todo.shift() ?? "";
  const last = walk.todo.length === 0;
  need(process, here(walk), 1);
  if (name === ".") return undefined;
  if (name === "..") {
    if (walk.trail.length > 1) walk.trail.pop();
    return undefined;
  }
  const node = lookup(here(walk), name) ?? fail("ENOENT");
  if (node.kind === "directory") {
    walk.trail.push(node);
    return undefined;
  }
  if (node.kind === "symlink" && (!last || followsLast || walk.slash)) {
    follow(walk, root, node.target ?? "");
    return undefined;
  }
  if (!last || walk.slash) fail("ENOTDIR");
  return node;
}

export function resolve(
  process: ModelProcess,
  root: ModelNode,
  path: string,
  followsLast: boolean,
): ModelNode {
  const walk = begin(root, path);
  while (walk.todo.length > 0) {
    const node = step(walk, process, root, followsLast);
    if (node) return node;
  }
  return here(walk);
}

/**
 * Walks to the directory of the last component, which is not looked up and may not be a valid name.
 */
export function parent(process: ModelProcess, root: ModelNode, path: string): WalkPlace {
  const walk = begin(root, path);
  while (walk.todo.length > 1) step(walk, process, root, true);
  const [name = ""] = walk.todo;
  if (name !== "") need(process, here(walk), 1);
  return { trail: walk.trail, dir: here(walk), name, slash: walk.slash };
}

/** @param special the errno of ".", ".." and the root */
export function checkName({ name }: WalkPlace, special: Record<string, string>): void {
  if (["", ".", ".."].includes(name)) fail(special[name] ?? "EINVAL");
}

/** Checks the permission to remove a name, as may_delete() does. */
export function mayDelete(
  process: ModelProcess,
  dir: ModelNode,
  node: ModelNode,
  directory: boolean,
): void {
  need(process, dir, 3);
  const owns = process.uid === node.uid || process.uid === dir.uid || isRoot(process);
  if ((dir.mode & 0o1000) !== 0 && !owns) fail("EPERM");
  if (directory && node.kind !== "directory") fail("ENOTDIR");
  if (!directory && node.kind === "directory") fail("EISDIR");
}
