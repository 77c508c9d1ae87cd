import { routes } from "../api/openapi/openapi.ts";

/**
 * Requests that took the event loop or a script of Redis for long, for the bench and for tests that count
 * their steps. A case names its requests after it has made the objects that they need.
 */

export interface HostileRequest {
  method: string;
  path: string;
  /** JSON unless it is a Buffer, which is octets. */
  body?: string | Buffer;
}

export interface HostileAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is what a case says it is
  body: any;
}

export type SendHostile = (request: HostileRequest) => Promise<HostileAnswer>;

export interface HostileCase {
  name: string;
  /** Makes what the requests need, with a session of root, and returns them. */
  prepare(send: SendHostile): Promise<HostileRequest[]>;
  /** The statuses that answers can have. */
  statuses: readonly number[];
}

const MIB = 1024 * 1024;
const MANY = 100_000;
const VALUE_BYTES = 4 * MIB;
const LPM_BITS = 2048;

const u32Hex = (n: number) =>
  n
    .toString(16)
    .padStart(8, "0")
    .replace(/(..)(..)(..)(..)/, "$4$3$2$1");
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const json = JSON.stringify;

async function makeMap(send: SendHostile, attr: object): Promise<number> {
  const { status, body } = await send({ method: "POST", path: "/v1/maps", body: json(attr) });
  if (status !== 201) throw new Error(`the map is not made: ${json(body)}`);
  return body.fd;
}

const hash = (send: SendHostile, more: object = {}) =>
  makeMap(send, { map_type: "hash", key_size: 4, value_size: 10, max_entries: MANY, ...more });

const batchOf = (fd: number, body: object | string, query = ""): HostileRequest => ({
  method: "POST",
  path: `/v1/fds/${fd}/batch${query}`,
  body: typeof body === "string" ? body : json(body),
});

/** Members of 9 bytes, none of which the contract knows. */
function manyMembers(count: number): string {
  const members = numbers(count).map((i) => `"${i.toString(36).padStart(4, "0")}":0`);
  return `{${members.join()}}`;
}

/** As many as the limit of most bodies allows, to every operation with a JSON body; then 1.5 M. */
function keysToEverything(): HostileRequest[] {
  const body = manyMembers(115_000);
  const toEach = routes
    .filter(({ operation }) => operation.requestBody?.content["application/json"])
    .map(({ method, path }) => ({
      method: method.toUpperCase(),
      path: path.replace("{fd}", "3").replace("{key}", "u32:1").replace("{id}", "1"),
      body,
    }));
  const longest = manyMembers(1_500_000);
  return [...toEach, load(longest), batchOf(3, longest)];
}

const putValue = (value: string) => async (send: SendHostile) => {
  const fd = await hash(send);
  return [{ method: "PUT", path: `/v1/fds/${fd}/elements/u32:1`, body: json({ value }) }];
};

const LITERALS = numbers(10)
  .map((i) => `u8:${i}`)
  .join("+");
const TEN_MEMBERS = numbers(10).map((i) => `m${i}`);
const TEN_SCHEMA = {
  key: "u32",
  value: `struct { ${TEN_MEMBERS.map((m) => `u8 ${m};`).join(" ")} }`,
};

async function literalBatch(send: SendHostile): Promise<HostileRequest[]> {
  const fd = await hash(send);
  const keys = numbers(MANY).map((i) => `u32:${i}`);
  const values = keys.map(() => LITERALS);
  return [batchOf(fd, { op: "update", keys, values })];
}

async function schemaBatch(send: SendHostile): Promise<HostileRequest[]> {
  const fd = await hash(send, { schema: TEN_SCHEMA });
  const value = Object.fromEntries(TEN_MEMBERS.map((name, i) => [name, i]));
  const keys = numbers(MANY);
  const values = keys.map(() => value);
  return [batchOf(fd, { op: "update", keys, values }, "?format=json")];
}

async function hexBatch(send: SendHostile): Promise<HostileRequest[]> {
  const fd = await hash(send, {
    value_size: 64,
    schema: { key: "u32", value: "struct { u64 a[8]; }" },
  });
  const keys = numbers(MANY).map(u32Hex);
  const values = keys.map((key) => key.repeat(16));
  await send(batchOf(fd, { op: "update", keys, values }));
  return [
    batchOf(fd, { op: "update", keys, values }),
    batchOf(fd, { op: "lookup", count: MANY }),
    batchOf(fd, { op: "lookup", count: MANY }, "?format=base64"),
    batchOf(fd, { op: "lookup", count: MANY }, "?format=json"),
    { method: "GET", path: `/v1/fds/${fd}/elements?limit=1000` },
    batchOf(fd, { op: "delete", keys }),
  ];
}

const programText = (lines: number) => {
  const text = "r0 = 1\n".repeat(lines);
  return { prog_type: "xdp", asm: `${text.slice(0, MIB - 5)}\nexit` };
};

const load = (body: object | string): HostileRequest => ({
  method: "POST",
  path: "/v1/progs",
  body: typeof body === "string" ? body : json(body),
});

/** Only a session of root may load so many. */
function millionInsns(encoding: "hex" | "base64"): HostileRequest {
  const insns = Buffer.alloc(8_000_000, Buffer.from("b700000001000000", "hex"));
  insns.write("9500000000000000", 8_000_000 - 8, "hex");
  return load({ prog_type: "xdp", insns: insns.toString(encoding) });
}

async function largeLookups(send: SendHostile): Promise<HostileRequest[]> {
  const attr = { map_type: "array", key_size: 4, value_size: VALUE_BYTES, max_entries: 64 };
  const fd = await makeMap(send, attr);
  const value = Buffer.alloc(VALUE_BYTES, 7);
  for (const i of numbers(6)) {
    await send({ method: "PUT", path: `/v1/fds/${fd}/elements/u32:${i}/bytes`, body: value });
  }
  const read = { op: "lookup", count: 64 };
  return [
    {
      method: "PUT",
      path: `/v1/fds/${fd}/elements/u32:1`,
      body: json({ value: value.toString("hex") }),
    },
    { method: "GET", path: `/v1/fds/${fd}/elements/u32:1` },
    batchOf(fd, read),
    { ...batchOf(fd, read), path: `/v1/fds/${fd}/batch/read-bytes` },
    { method: "GET", path: `/v1/fds/${fd}/elements?limit=64` },
  ];
}

async function smallLru(send: SendHostile): Promise<HostileRequest[]> {
  const attr = { map_type: "lru_hash", key_size: 4, value_size: 4, max_entries: 3 };
  const fd = await makeMap(send, attr);
  const keys = numbers(2000).map(u32Hex);
  return [batchOf(fd, { op: "update", keys, values: keys })];
}

async function deepTrie(send: SendHostile): Promise<HostileRequest[]> {
  const bytes = LPM_BITS / 8;
  const attr = { map_type: "lpm_trie", key_size: 4 + bytes, value_size: 4, max_entries: 4096 };
  const fd = await makeMap(send, { ...attr, map_flags: 1 });
  const keys = numbers(LPM_BITS + 1).map((length) => u32Hex(length) + "aa".repeat(bytes));
  const values = keys.map(() => "00000000");
  const lookup = (length: number, data: string) => ({
    method: "GET",
    path: `/v1/fds/${fd}/elements/${u32Hex(length)}${data.repeat(bytes)}`,
  });
  return [
    batchOf(fd, { op: "update", keys, values }),
    lookup(LPM_BITS, "aa"),
    lookup(LPM_BITS, "55"),
    batchOf(fd, { op: "lookup", count: 4096 }),
    batchOf(fd, { op: "delete", keys }),
  ];
}

const once = (request: HostileRequest) => async () => [request];
const nested = (count: number) => `{"op":"update","keys":${"[".repeat(count)}`;

export const HOSTILE_CASES: readonly HostileCase[] = [
  {
    name: "1.5 M keys",
    prepare: async () => keysToEverything(),
    statuses: [400, 413],
  },
  {
    name: "u64: with 8 MiB of digits",
    prepare: putValue(`u64:${"9".repeat(8 * MIB)}`),
    statuses: [400],
  },
  {
    name: "1.6 M literal parts",
    prepare: putValue(Array(1_600_000).fill("u8:1").join("+")),
    statuses: [400],
  },
  {
    name: "17 MiB nested",
    prepare: async () => [
      batchOf(3, nested(17 * MIB - 100)),
      batchOf(3, `{"a":`.repeat(3_000_000)),
    ],
    statuses: [400],
  },
  {
    name: "a batch of 100,000 elements with ten literals each",
    prepare: literalBatch,
    statuses: [200],
  },
  { name: "a batch of 100,000 elements by schema", prepare: schemaBatch, statuses: [200] },
  { name: "batches of 100,000 elements of 64 bytes", prepare: hexBatch, statuses: [200] },
  {
    name: "1 MiB of program text",
    prepare: once(load(programText(MIB / 7))),
    statuses: [201],
  },
  {
    name: "10^6 instructions",
    prepare: async () => [millionInsns("hex"), millionInsns("base64")],
    statuses: [201, 400, 422, 413],
  },
  { name: "64 lookups of 4 MiB", prepare: largeLookups, statuses: [200, 204] },
  { name: "an LRU batch in 3 entries", prepare: smallLru, statuses: [200] },
  { name: "a trie with all 2,049 lengths", prepare: deepTrie, statuses: [200] },
];
