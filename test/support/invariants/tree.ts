import { type Claim, fields, type HeldReferences, ids, members, workOf } from "./held.ts";
import type { Dump } from "./read.ts";

/**
 * Recomputes the counts of the tree: each name of a node is a link, and so is ".." of each
 * subdirectory.
 */

/** The root exists before the first write, so Redis may not store it. */
const ROOT = { kind: "directory", nlink: "2" };

function node(dump: Dump, ino: number) {
  return fields(dump, "inode", ino) ?? (ino === 1 ? ROOT : undefined);
}

function reachable(dump: Dump, ino: number, seen: Set<number>): Set<number> {
  if (seen.has(ino)) return seen;
  seen.add(ino);
  for (const [, child] of members(dump, "dir", ino)) reachable(dump, child, seen);
  return seen;
}

/** Directories that have left the tree and are still emptied. */
function prunedOf(dump: Dump): Set<number> {
  const items = workOf(dump).filter(([name]) => name === "prune");
  return new Set(items.map(([, ino]) => Number(ino)));
}

function checkLinks(
  dump: Dump,
  claim: Claim,
  ino: number,
  names: number,
  pruned: ReadonlySet<number>,
): void {
  const { kind, nlink } = node(dump, ino) ?? {};
  const children = members(dump, "dir", ino).map(([, child]) => node(dump, child)?.kind);
  if (kind === "directory") {
    const links = 2 + children.filter((child) => child === "directory").length;
    claim(
      Number(nlink) === links,
      `directory ${ino}: nlink ${nlink}, its subdirectories make ${links}`,
    );
    const isRoot = ino === 1 || pruned.has(ino);
    claim(names === (isRoot ? 0 : 1), `directory ${ino} has ${names} names`);
  } else {
    claim(Number(nlink) === names, `inode ${ino}: nlink ${nlink}, it has ${names} names`);
    claim(names > 0, `inode ${ino} has no name`);
    claim(children.length === 0, `inode ${ino} is a ${kind} and has entries`);
  }
}

export function checkTree(dump: Dump, claim: Claim, holders: HeldReferences): void {
  const names = new Map<number, number>();
  for (const dir of ids(dump, "dir")) {
    claim(node(dump, Number(dir)) !== undefined, `directory ${dir} has entries and no inode`);
    for (const [name, ino] of members(dump, "dir", dir)) {
      names.set(ino, (names.get(ino) ?? 0) + 1);
      claim(
        node(dump, ino) !== undefined,
        `${name} in directory ${dir} names inode ${ino}, which is gone`,
      );
    }
  }
  const pruned = prunedOf(dump);
  const reached = new Set<number>();
  for (const root of [1, ...pruned]) reachable(dump, root, reached);
  // The number of the root does not come from the counter.
  const last = Number(dump.meta.inode ?? 0) + 1;
  for (const ino of new Set([1, ...ids(dump, "inode").map(Number)])) {
    checkLinks(dump, claim, ino, names.get(ino) ?? 0, pruned);
    claim(reached.has(ino), `inode ${ino} cannot be reached from the root`);
    claim(ino <= last, `inode ${ino} is there, the counter is at ${last}`);
    const { kind = "", object = "" } = fields(dump, "inode", ino) ?? {};
    if (kind === "map" || kind === "prog") holders.add(kind, object, `inode:${ino}`);
  }
  const living = ids(dump, "inode").filter((ino) => ino !== "1").length;
  const counted = last - 1 - Number(dump.meta.inodes_freed ?? 0);
  // Without the field, an older version has made some.
  const isCounted = dump.meta.inodes_counted !== undefined;
  claim(!isCounted || living === counted, `there are ${living} inodes, counted are ${counted}`);
}
