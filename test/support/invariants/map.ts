import type { RecordFields } from "../stored.ts";
import { type Claim, fields, type HeldReferences, ids, members, pending, workOf } from "./held.ts";
import { at, type Dump } from "./read.ts";

/** Checks the contents of each map type and records which programs and slots hold maps. */

type StoredContents = (
  dump: Dump,
  claim: Claim,
  id: string,
  map: RecordFields,
  holders: HeldReferences,
) => void;

/** Counts the bytes of a value as the system call copies it: for each CPU, rounded up to 8. */
function valueBytes({ value_size, cpus }: RecordFields): number {
  return cpus ? Math.ceil(Number(value_size) / 8) * 8 * Number(cpus) : Number(value_size);
}

/** Claims that the elements and the sorted set `noun` have the same keys, at most max_entries. */
function sameKeys(
  dump: Dump,
  claim: Claim,
  id: string,
  map: RecordFields,
  noun: string,
  keys: string[],
) {
  const order = members(dump, noun, id).map(([key]) => key);
  const same = order.length === keys.length && order.every((key) => keys.includes(key));
  claim(same, `${map.map_type} ${id} has ${keys.length} elements, ${order.length} in ${noun}`);
  claim(keys.length <= Number(map.max_entries), `map ${id} has ${keys.length} elements`);
}

function sized(
  claim: Claim,
  id: string,
  keys: string[],
  sizes: number[],
  key: number,
  value: number,
) {
  const right = keys.every(({ length }) => length === key) && sizes.every((n) => n === value);
  claim(right, `map ${id} has a key or a value of another size than its own`);
}

const stored = (dump: Dump, id: string) => {
  const { keys, sizes } = dump.elements.get(id) ?? { keys: [], sizes: [] };
  return { keys: keys.map((key) => key.toString("latin1")), sizes };
};

const hash: StoredContents = (dump, claim, id, map) => {
  const { keys, sizes } = stored(dump, id);
  sameKeys(dump, claim, id, map, "keys", keys);
  sized(claim, id, keys, sizes, Number(map.key_size), valueBytes(map));
};

const lru: StoredContents = (dump, claim, id, map, holders) => {
  hash(dump, claim, id, map, holders);
  sameKeys(dump, claim, id, map, "lru", stored(dump, id).keys);
};

const lpm_trie: StoredContents = (dump, claim, id, map) => {
  const { keys, sizes } = stored(dump, id);
  const data = Number(map.key_size) - 4;
  sameKeys(dump, claim, id, map, "keys", keys);
  sized(claim, id, keys, sizes, data + 2, data + Number(map.value_size));
  const lengths = new Map<string, number>();
  for (const key of keys) {
    const length = String(8 * data - Buffer.from(key, "latin1").readUInt16BE(data));
    lengths.set(length, (lengths.get(length) ?? 0) + 1);
  }
  const counted = Object.entries(fields(dump, "lens", id) ?? {});
  const same = counted.every(([length, n]) => lengths.get(length) === Number(n));
  claim(same && counted.length === lengths.size, `trie ${id} counts its lengths wrongly`);
};

const queue: StoredContents = (dump, claim, id, map) => {
  const { keys, sizes } = stored(dump, id);
  const head = Number(map.head ?? 0);
  const numbers = keys.map(Number).sort((a, b) => a - b);
  claim(
    numbers.every((n, i) => n === head + i),
    `${map.map_type} ${id} starts at ${head} and has ${numbers.join()}`,
  );
  claim(keys.length <= Number(map.max_entries), `map ${id} has ${keys.length} elements`);
  claim(
    sizes.every((n) => n === Number(map.value_size)),
    `map ${id} has a value of another size than its own`,
  );
};

const PAGE_BYTES = 65536;

function paged(dump: Dump, claim: Claim, id: string, size: number, count: number): void {
  const pages = Math.ceil(count / Math.max(1, Math.floor(PAGE_BYTES / size)));
  for (const name of ids(dump, "elem")) {
    const [of, page] = name.split(":");
    claim(of !== id || Number(page) < pages, `map ${id} has page ${page} of ${pages}`);
  }
}

const array: StoredContents = (dump, claim, id, map) =>
  paged(dump, claim, id, valueBytes(map), Number(map.max_entries));

const bloom_filter: StoredContents = (dump, claim, id, map) =>
  paged(dump, claim, id, 1, Number(map.bits) / 8);

const prog_array: StoredContents = (dump, claim, id, map, holders) => {
  const slots = members(dump, "elem", id);
  sameKeys(
    dump,
    claim,
    id,
    map,
    "keys",
    slots.map(([index]) => index),
  );
  claim(slots.length === 0 || Number(map.usercnt) > 0, `prog_array ${id} is filled without a user`);
  for (const [index, prog] of slots) {
    holders.add("prog", String(prog), `slot:${id}`);
    claim(Number(index) < Number(map.max_entries), `prog_array ${id} has slot ${index}`);
    const owner = fields(dump, "prog", prog)?.owner;
    claim(owner === map.owner, `slot ${index} of ${id}: a ${owner} in an array of ${map.owner}`);
  }
};

/**
 * redirect_map.lua packs a slot into a score: the id of its program times this, plus the target.
 */
const PROG = 32768;

const redirect: StoredContents = (dump, claim, id, map, holders) => {
  const slots = members(dump, "elem", id);
  const indices = slots.map(([index]) => index);
  sameKeys(dump, claim, id, map, "keys", indices);
  for (const [index, score] of slots) {
    const prog = Math.floor(score / PROG);
    if (prog > 0) holders.add("prog", String(prog), `slot:${id}`);
    claim(score % PROG > 0, `slot ${index} of ${id} leads nowhere`);
    const [type, attach, frags] = (fields(dump, "prog", prog)?.owner ?? "").split("/");
    const wanted = map.map_type === "cpumap" ? "35" : "33";
    const fits = attach === wanted && `${type}/${frags}` === map.owner;
    claim(prog === 0 || fits, `slot ${index} of ${id}: prog ${prog} in a map of ${map.owner}`);
  }
};

const indexed: StoredContents = (dump, claim, id, map, holders) => {
  redirect(dump, claim, id, map, holders);
  for (const [index] of members(dump, "elem", id)) {
    claim(Number(index) < Number(map.max_entries), `map ${id} has slot ${index}`);
  }
};

const perf_event_array: StoredContents = (dump, claim, id) =>
  claim(members(dump, "elem", id).length === 0, `perf_event_array ${id} is not empty`);

/** Claims that every inner map is like the template. */
function inner(
  dump: Dump,
  claim: Claim,
  id: string,
  map: RecordFields,
  holders: HeldReferences,
): void {
  for (const [, held] of members(dump, "elem", id)) {
    holders.add("map", String(held), `slot:${id}`);
    const { map_type, key_size, value_size, map_flags, locks } = fields(dump, "map", held) ?? {};
    const like = [map_type, key_size, value_size, map_flags, ...(locks ? [locks] : [])].join(" ");
    claim(like === map.inner, `map ${held} in ${id} is "${like}", its template "${map.inner}"`);
  }
}

const array_of_maps: StoredContents = (dump, claim, id, map, holders) => {
  inner(dump, claim, id, map, holders);
  const indices = members(dump, "elem", id).map(([index]) => index);
  sameKeys(dump, claim, id, map, "keys", indices);
  for (const index of indices) {
    claim(Number(index) < Number(map.max_entries), `map ${id} has slot ${index}`);
  }
};

const hash_of_maps: StoredContents = (dump, claim, id, map, holders) => {
  inner(dump, claim, id, map, holders);
  const keys = members(dump, "elem", id).map(([key]) => key);
  sameKeys(dump, claim, id, map, "keys", keys);
  sized(claim, id, keys, [], Number(map.key_size), 0);
};

/**
 * Claims that records have no gaps up to the producer, and that none is left that was overwritten.
 */
const ringbuf: StoredContents = (dump, claim, id, map) => {
  const { producer = 0, consumer = 0, produced = 0, consumed = 0 } = map;
  const records = dump.records.get(id) ?? [];
  const ends = records.map(([position, , size]) => position + 8 + Math.ceil(size / 8) * 8);
  const starts = [...records.map(([position]) => position), Number(producer)];
  claim(
    ends.every((end, i) => end === starts[i + 1]),
    `ring buffer ${id} has gaps before ${producer}: ${starts.join()}`,
  );
  const first = Number(produced) - records.length + 1;
  claim(
    records.every(([, number], i) => number === first + i),
    `ring buffer ${id} has not numbered ${produced} records one by one`,
  );
  const [size, used] = [Number(map.max_entries), Number(producer) - Number(consumer)];
  claim(used >= 0 && used < size, `ring buffer ${id} of ${size} bytes has ${used} to be read`);
  claim((starts[0] ?? 0) >= Number(producer) - size, `ring buffer ${id} keeps what is overwritten`);
  const left = records.filter(([position]) => position >= Number(consumer)).length;
  const counted = Number(produced) - Number(consumed);
  claim(left === counted, `ring buffer ${id} counts ${counted} records to be read, not ${left}`);
};

/**
 * A map type that is missing here counts as a difference, so a new type must state its contents.
 */
const CONTENTS: Record<string, StoredContents> = {
  ...{ hash, percpu_hash: hash, lru_hash: lru, lru_percpu_hash: lru, lpm_trie },
  ...{ array, percpu_array: array, prog_array, array_of_maps, hash_of_maps },
  ...{ queue, stack: queue, ringbuf, bloom_filter },
  ...{ devmap: indexed, cpumap: indexed, devmap_hash: redirect, perf_event_array },
};

/** Records the slots that no array has any more but whose objects are not yet released. */
function checkCleared(dump: Dump, claim: Claim, holders: HeldReferences): void {
  for (const list of ids(dump, "slots")) {
    const item = workOf(dump).find(([put, , , of]) => put === "put_slots" && of === list);
    claim(item !== undefined, `slots ${list} were cleared and are put by nobody`);
    const [, kind = "", map, , unit = "1"] = item ?? [];
    for (const [, score] of members(dump, "slots", list)) {
      const held = Math.floor(score / Number(unit));
      if (held > 0) holders.add(kind, String(held), `slot:${map}`);
    }
  }
}

function checkUsed(dump: Dump, claim: Claim, holders: HeldReferences): void {
  for (const prog of ids(dump, "used")) {
    const maps = dump.lists.get(at("used", prog)) ?? [];
    claim(new Set(maps).size === maps.length, `prog ${prog} uses a map twice: ${maps.join(", ")}`);
    for (const map of maps) holders.add("map", map, `prog:${prog}`);
    const due = fields(dump, "prog", prog) ?? pending(dump, "put_maps", prog);
    claim(due !== undefined, `the maps used by prog ${prog} are put by nobody`);
  }
  const [progs, insns] = [ids(dump, "prog"), ids(dump, "insns")].map((all) =>
    [...all].sort().join(),
  );
  claim(progs === insns, `programs are ${progs}, instructions are kept of ${insns}`);
}

export function checkMaps(dump: Dump, claim: Claim, holders: HeldReferences): void {
  checkUsed(dump, claim, holders);
  checkCleared(dump, claim, holders);
  for (const id of ids(dump, "map")) {
    const map = fields(dump, "map", id) ?? {};
    const contents = CONTENTS[map.map_type ?? ""];
    claim(
      contents !== undefined,
      `map ${id}: nothing is known of the contents of a ${map.map_type}`,
    );
    contents?.(dump, claim, id, map, holders);
  }
  for (const noun of ["elem", "keys", "lru", "ref", "lens"]) {
    for (const name of ids(dump, noun)) {
      const [id = ""] = name.split(":");
      const due = fields(dump, "map", id) ?? pending(dump, "unlink_pages", id);
      claim(due !== undefined, `${noun}:${name} is left of map ${id}`);
    }
  }
}
