import type { RedisClient } from "../stored.ts";
import { type Claim, fields, HeldReferences, ids, members, pending } from "./held.ts";
import { checkMaps } from "./map.ts";
import { at, type Dump, entry, readNamespace } from "./read.ts";
import { checkRegistries } from "./registry.ts";
import { checkTree } from "./tree.ts";

/**
 * Recomputes every count of a namespace from its holders and describes each difference. The
 * invariant holds between any two commands, even while the sweeper still has objects to free: an
 * object that waits to be released still counts as a holder.
 */

const list = (values: Iterable<unknown>) => [...values].join(", ");

function checkKeys(dump: Dump, claim: Claim): void {
  for (const name of dump.keys.get("?") ?? []) claim(false, `key ${name} is of no known kind`);
  for (const noun of ["session", "file", "map", "prog", "btf"]) {
    const last = Number(dump.meta[noun] ?? 0);
    const highest = Math.max(0, ...ids(dump, noun).map(Number));
    claim(highest <= last, `${noun} ${highest} is there, its counter is at ${last}`);
  }
}

function checkSessions(dump: Dump, claim: Claim): void {
  const sessions = ids(dump, "session");
  for (const index of ["ids:session", "deadlines"]) {
    const indexed = members(dump, index).map(([sid]) => sid);
    const same = list(indexed.sort()) === list([...sessions].sort());
    claim(same, `sessions are ${list(sessions)}, ${index} has ${list(indexed)}`);
  }
  for (const [sid, deadline] of members(dump, "deadlines")) {
    const stored = fields(dump, "session", sid)?.deadline;
    claim(
      Number(stored) === deadline,
      `session ${sid} ends at ${stored}, deadlines has ${deadline}`,
    );
  }
  for (const sid of sessions) claim(dump.bitmaps.has(sid), `session ${sid} has no fdmap`);
}

function checkTables(dump: Dump, claim: Claim): void {
  for (const [sid, bits] of dump.bitmaps) {
    const fds = Object.keys(fields(dump, "fds", sid) ?? {}).map(Number);
    const taken = [0, 1, 2, ...fds].sort((a, b) => a - b);
    claim(
      list(bits) === list(taken),
      `session ${sid}: fds ${list(taken)}, fdmap has ${list(bits)}`,
    );
    const nofile = Number(fields(dump, "session", sid)?.nofile ?? Number.POSITIVE_INFINITY);
    for (const fd of fds) claim(fd < nofile, `session ${sid} has fd ${fd}, nofile is ${nofile}`);
  }
  for (const noun of ["fds", "fdmap", "inbox"]) {
    for (const sid of ids(dump, noun)) {
      const ends = pending(dump, "exit", sid) ?? pending(dump, "discard", sid);
      const due = fields(dump, "session", sid) ?? ends;
      claim(due !== undefined, `${noun} of session ${sid} is left over`);
    }
  }
}

/** Lists everything that shares an open file: fds and messages in flight. */
function sharers(dump: Dump): { where: string; text: string }[] {
  const inTables = ids(dump, "fds").flatMap((sid) => {
    // An exit closes the table in fd order, so fds below this one are already closed.
    const from = Number(pending(dump, "exit", sid)?.[2] ?? 0);
    const open = Object.entries(fields(dump, "fds", sid) ?? {});
    return open
      .filter(([fd]) => Number(fd) >= from)
      .map(([fd, text]) => ({ where: `fd ${fd} of session ${sid}`, text }));
  });
  const inFlight = ids(dump, "inbox").flatMap((sid) =>
    (dump.lists.get(at("inbox", sid)) ?? []).map((message) => ({
      where: `a message to session ${sid}`,
      text: message.replace(/^\d+ /, ""),
    })),
  );
  return [...inTables, ...inFlight];
}

function checkFiles(dump: Dump, claim: Claim, holders: HeldReferences): void {
  const shared = new Map<string, string[]>();
  for (const { where, text } of sharers(dump)) {
    const { n } = entry(text);
    const texts = shared.get(n) ?? [];
    shared.set(n, [...texts, text]);
    claim(fields(dump, "file", n) !== undefined, `${where} names open file ${n}, which is gone`);
    claim((texts[0] ?? text) === text, `${where} says ${text}, another sharer ${texts[0]}`);
  }
  for (const n of ids(dump, "file")) {
    const { refs } = fields(dump, "file", n) ?? {};
    const [text, ...others] = shared.get(n) ?? [];
    const found = text === undefined ? 0 : 1 + others.length;
    claim(Number(refs) === found, `open file ${n} counts ${refs} sharers, there are ${found}`);
    const { kind, id } = entry(text ?? "");
    if (text !== undefined) holders.add(kind, id, `file:${n}`);
  }
}

/** References that a living object has beside those of its holders. */
const FLOORS: Readonly<Record<string, number>> = { btf: 1 };

/** The BTF objects that maps and programs hold. */
function addBtfHolders(dump: Dump, holders: HeldReferences): void {
  for (const noun of ["map", "prog"]) {
    for (const id of ids(dump, noun)) {
      const { btf_id, template_btf } = fields(dump, noun, id) ?? {};
      const held = btf_id ?? template_btf;
      if (held !== undefined) holders.add("btf", held, `${noun}:${id}`);
    }
  }
}

function checkObject(
  dump: Dump,
  claim: Claim,
  holders: HeldReferences,
  kind: string,
  id: string,
): void {
  const object = fields(dump, kind, id) ?? {};
  const held = holders.of(kind, id);
  const sum = (rows: [string, number][]) => rows.reduce((total, [, count]) => total + count, 0);
  const refcnt = sum(held);
  const stored = Number(object.refcnt) - (FLOORS[kind] ?? 0);
  const usercnt = sum(held.filter(([holder]) => /^(file|inode):/.test(holder)));
  const names = list(held.map(([holder, count]) => `${holder} x${count}`));
  claim(stored === refcnt, `${kind} ${id}: refcnt ${object.refcnt}, holders ${names}`);
  if (kind === "map") {
    claim(
      Number(object.usercnt) === usercnt,
      `map ${id}: usercnt ${object.usercnt}, holders ${names}`,
    );
  }
  const index = Object.entries(fields(dump, `holders:${kind}`, id) ?? {});
  const indexed = list(index.map(([holder, count]) => `${holder} x${count}`).sort());
  const found = list(names.split(", ").sort());
  claim(indexed === found, `${kind} ${id}: listed holders ${indexed}, found ${found}`);
  const listed = members(dump, `ids:${kind}`).some(
    ([member, score]) => member === id && score === Number(id),
  );
  claim(listed === refcnt > 0, `${kind} ${id}: refcnt ${refcnt}, in ids:${kind} ${listed}`);
  const freed = pending(dump, "free", kind, id);
  claim(refcnt > 0 || freed !== undefined, `${kind} ${id} is held by nobody and not freed`);
}

function checkObjects(dump: Dump, claim: Claim, holders: HeldReferences): void {
  addBtfHolders(dump, holders);
  for (const kind of ["map", "prog", "btf"]) {
    for (const id of ids(dump, kind)) checkObject(dump, claim, holders, kind, id);
    const rest = [
      ...members(dump, `ids:${kind}`).map(([id]) => id),
      ...ids(dump, `holders:${kind}`),
    ];
    for (const id of rest) {
      claim(fields(dump, kind, id) !== undefined, `${kind} ${id} is listed or held and not there`);
    }
  }
  for (const held of holders.objects()) {
    const [kind = "", id = ""] = held.split(" ");
    const by = list(holders.of(kind, id).map(([holder]) => holder));
    claim(fields(dump, kind, id) !== undefined, `${held} is gone and held by ${by}`);
  }
}

/**
 * Describes what is wrong in the namespace; the list is empty if every count equals its holders.
 *
 * @param masters all masters of a cluster; `redis` is that of the namespace.
 */
export async function differences(
  redis: RedisClient,
  namespace: string,
  masters: readonly RedisClient[] = [redis],
): Promise<string[]> {
  const dump = await readNamespace(redis, namespace);
  const found: string[] = [];
  const claim: Claim = (holds, otherwise) => {
    if (!holds) found.push(otherwise);
  };
  const holders = new HeldReferences();
  checkKeys(dump, claim);
  checkSessions(dump, claim);
  checkTables(dump, claim);
  checkFiles(dump, claim, holders);
  checkTree(dump, claim, holders);
  checkMaps(dump, claim, holders);
  checkObjects(dump, claim, holders);
  await checkRegistries(dump, claim, namespace, masters);
  return found;
}
