import {
  type RecordFields,
  type RedisClient,
  unpackAttr,
  unpackCred,
  unpackInode,
  unpackLife,
} from "../stored.ts";

/** Reads everything that one namespace stores in Redis; call it while no command is running. */

export interface StoredEntry {
  n: string;
  kind: string;
  id: string;
  mode: string;
}

export interface Dump {
  /** Maps each noun to the ids of its keys; a key without an id has "". */
  keys: Map<string, string[]>;
  meta: RecordFields;
  hashes: Map<string, RecordFields>;
  sets: Map<string, [member: Buffer, score: number][]>;
  lists: Map<string, string[]>;
  bitmaps: Map<string, number[]>;
  /** The keys of hash map elements and the sizes of their values. */
  elements: Map<string, { keys: Buffer[]; sizes: number[] }>;
  records: Map<string, [position: number, number: number, size: number][]>;
}

const HASHES = [
  ...["lens", "session", "file", "map", "prog", "btf", "fds"],
  ...["holders:map", "holders:prog", "holders:btf"],
];
const SETS = [
  ...["deadlines", "ids:session", "ids:map", "ids:prog", "ids:btf", "dir", "keys", "slots", "lru"],
];
const LISTS = ["work", "used", "inbox"];
/** The keys of these nouns hold nothing that is counted. */
const OTHERS = [
  "ref",
  "meta",
  "fdmap",
  "inode",
  "elem",
  "insns",
  "blob",
  "btf_types",
  "draft",
  "ended",
  "idem",
  "events",
];

const NOUNS = [...HASHES, ...SETS, ...LISTS, ...OTHERS];

/** Splits the name of a key into noun and id, without the namespace. */
function parse(name: string): [noun: string, id: string] {
  const noun = NOUNS.find((known) => name === known || name.startsWith(`${known}:`)) ?? "?";
  return noun === "?" ? [noun, name] : [noun, name.slice(noun.length + 1)];
}

function bits(bytes: Buffer): number[] {
  return [...bytes].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> (7 - bit)) & 1).map((bit) => 8 * i + bit),
  );
}

function paired(flat: Buffer[]): [Buffer, number][] {
  const rows: [Buffer, number][] = [];
  for (let i = 0; i < flat.length; i += 2) {
    rows.push([flat[i] as Buffer, Number(flat[i + 1])]);
  }
  return rows;
}

export const at = (noun: string, id: string | number) => `${noun}:${id}`;

class Reader {
  readonly #redis: RedisClient;
  readonly #root: string;
  readonly dump: Dump = {
    keys: new Map(NOUNS.map((noun) => [noun, []])),
    ...{ meta: {}, hashes: new Map(), sets: new Map(), lists: new Map() },
    ...{ bitmaps: new Map(), elements: new Map(), records: new Map() },
  };

  constructor(redis: RedisClient, namespace: string) {
    this.#redis = redis;
    this.#root = `bpf:{${namespace}}:`;
  }

  async read(): Promise<Dump> {
    const keys = await this.#redis.keys(`${this.#root}*`);
    const names = keys.map((key) => key.slice(this.#root.length)).sort();
    await Promise.all(names.map((name) => this.#one(name)));
    const { dump } = this;
    const maps = (dump.keys.get("map") ?? []).map((id) => this.#elements(id));
    await Promise.all(maps);
    return dump;
  }

  async #one(name: string): Promise<void> {
    const [noun, id] = parse(name);
    const { dump } = this;
    const key = this.#root + name;
    const nouns = dump.keys.get(noun) ?? [];
    dump.keys.set(noun, nouns);
    nouns.push(id);
    const place = at(noun, id);
    if (noun === "meta") dump.meta = await this.#redis.hgetall(key);
    else if (noun === "fdmap") dump.bitmaps.set(id, bits(await this.#bytes(key)));
    else if (noun === "inode") dump.hashes.set(place, unpackInode(String(await this.#bytes(key))));
    else if (HASHES.includes(noun)) dump.hashes.set(place, await this.#hash(key));
    else if (LISTS.includes(noun)) dump.lists.set(place, await this.#redis.lrange(key, 0, -1));
    else if (SETS.includes(noun)) await this.#set(place, key);
  }

  /** Adds the unpacked parts of packed fields to the hash. */
  async #hash(key: string): Promise<RecordFields> {
    const { life, ...stored } = await this.#redis.hgetallBuffer(key);
    const entries = Object.entries(stored).map(([field, value]) => [field, String(value)]);
    const fields = Object.fromEntries(entries) as RecordFields;
    return {
      ...fields,
      ...(life ? unpackLife(life) : {}),
      ...(fields.cred ? unpackCred(fields.cred) : {}),
      ...(fields.attr ? unpackAttr(fields.attr) : {}),
    };
  }

  async #bytes(key: string): Promise<Buffer> {
    return (await this.#redis.getBuffer(key)) ?? Buffer.alloc(0);
  }

  async #set(place: string, key: string): Promise<void> {
    this.dump.sets.set(place, paired(await this.#redis.zrangeBuffer(key, "0", "-1", "WITHSCORES")));
  }

  /** The type of the map decides what elem:<id> stores. */
  async #elements(id: string): Promise<void> {
    const key = `${this.#root}elem:${id}`;
    const type = await this.#redis.type(key);
    if (type === "zset") await this.#set(at("elem", id), key);
    if (type === "stream") await this.#records(id, key);
    if (type !== "hash") return;
    const [keys, values] = await Promise.all([
      this.#redis.hkeysBuffer(key),
      this.#redis.hvalsBuffer(key),
    ]);
    this.dump.elements.set(id, { keys, sizes: values.map((value) => value.length) });
  }

  async #records(id: string, key: string): Promise<void> {
    const entries = await this.#redis.xrangeBuffer(key, "-", "+");
    const rows = entries.map(([name, [, data]]): [number, number, number] => {
      const [position, number] = String(name).split("-").map(Number);
      return [position ?? 0, number ?? 0, data?.length ?? 0];
    });
    this.dump.records.set(id, rows);
  }
}

export function readNamespace(redis: RedisClient, namespace: string): Promise<Dump> {
  return new Reader(redis, namespace).read();
}

/** Parses an entry of an fd table. */
export function entry(text: string): StoredEntry {
  const [n = "", kind = "", id = "", mode = ""] = text.split(":");
  return { n, kind, id, mode };
}
