import { type Claim, fields, type HeldReferences, ids, members } from "./held.ts";
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

function checkLinks(dump: Dump, claim: Claim, ino: number, names: number): void {
  const { kind, nlink } = node(dump, ino) ?? {};
  const children = members(dump, "dir", ino).map(([, child]) => node(dump, child)?.kind);
  if (kind === "directory") {
    const links = 2 + children.filter((child) => child === "directory").length;
    claim(
      Number(nlink) === links,
      `directory ${ino}: nlink ${nlink}, its subdirectories make ${links}`,
    );
    claim(names === (ino === 1 ? 0 : 1), `directory ${ino} has ${names} names`);
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
  const reached = reachable(dump, 1, new Set());
  // The number of the root does not come from the counter.
  const last = Number(dump.meta.inode ?? 0) + 1;
  for (const ino of new Set([1, ...ids(dump, "inode").map(Number)])) {
    checkLinks(dump, claim, ino, names.get(ino) ?? 0);
    claim(reached.has(ino), `inode ${ino} cannot be reached from the root`);
    claim(ino <= last, `inode ${ino} is there, the counter is at ${last}`);
    const { kind = "", object = "" } = fields(dump, "inode", ino) ?? {};
    if (kind === "map" || kind === "prog") holders.add(kind, object, `inode:${ino}`);
  }
}
