import { describe, expect, it } from "vitest";
import { nearest } from "../../domain/did_you_mean.ts";
import { type TestSession, testService } from "../support/service.ts";

/** The detail of a wrong request names the field and what is allowed, in one sentence. */

const service = await testService();

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const TYPES =
  "must be one of hash, array, prog_array, percpu_hash, percpu_array, lru_hash, lru_percpu_hash, " +
  "lpm_trie, array_of_maps, hash_of_maps, devmap, devmap_hash, cpumap, perf_event_array, queue, " +
  "stack, ringbuf, bloom_filter";

type Row = [path: string, body: unknown, pointer: string, says: string];

const map = (more: object, field: string, says: string): Row => [
  "POST /v1/maps",
  { ...HASH, ...more },
  `/body/${field}`,
  says,
];
const prog_type = (type: unknown, says: string): Row => [
  "POST /v1/progs",
  { prog_type: type, asm: "exit" },
  "/body/prog_type",
  says,
];
const node = (body: object, field: string, says: string): Row => [
  "PUT /v1/fs?path=/x",
  body,
  `/body/${field}`,
  says,
];
const open = (body: object, field: string, says: string): Row => [
  "POST /v1/fds",
  body,
  `/body${field}`,
  says,
];
const run = (more: object, field: string, says: string): Row => [
  "POST /v1/fds/3/test-run",
  { data_in: "", ...more },
  `/body/${field}`,
  says,
];

const BODIES: Row[] = [
  map({ max_entires: 8 }, "max_entires", "unknown field: did you mean max_entries?"),
  map({ keysize: 4 }, "keysize", "unknown field: did you mean key_size?"),
  map({ "a/b~": 4 }, "a~1b~0", "unknown field; allowed: map_type, key_size, value_size, "),
  map({ map_type: "HASH" }, "map_type", '"HASH" is not allowed: did you mean hash?'),
  map({ map_type: "BPF_MAP_TYPE_LPM_TRIE" }, "map_type", "did you mean lpm_trie?"),
  map({ map_type: "hahs" }, "map_type", '"hahs" is not allowed: did you mean hash?'),
  map({ map_type: "sockmap" }, "map_type", `${TYPES}, got "sockmap"`),
  map({ map_type: null }, "map_type", "must be a string or an integer, got null"),
  map({ map_type: 1.5 }, "map_type", "must be a string or an integer, got 1.5"),
  map({ map_type: -1 }, "map_type", "must be >= 0, got -1"),
  map({ key_size: "4" }, "key_size", 'must be an integer, got "4"'),
  map({ map_extra: "x" }, "map_extra", 'must match ^(0|[1-9][0-9]{0,19})$, got "x"'),
  map({ schema: { valu: "int" } }, "schema/valu", "unknown field: did you mean value?"),
  prog_type("XDP", '"XDP" is not allowed: did you mean xdp?'),
  prog_type("BPF_PROG_TYPE_SCHED_CLS", "did you mean sched_cls?"),
  prog_type("tc", "must be one of socket_filter, kprobe, sched_cls, "),
  ["POST /v1/progs", { asm: 5 }, "/body/asm", "must be a string or an array, got 5"],
  ["POST /v1/progs", { asm: ["exit", 5] }, "/body/asm/1", "must be a string, got 5"],
  node({ type: "pin" }, "fd", "is missing"),
  node({ type: "pin", fd: "3" }, "fd", 'must be an integer, got "3"'),
  node({ type: "dir" }, "type", 'must be one of pin, directory, symlink, link, got "dir"'),
  node({ type: "Symlink" }, "type", '"Symlink" is not allowed: did you mean symlink?'),
  node({ fd: 3 }, "type", "is missing; must be one of pin, directory, symlink, link"),
  node({ type: "directory", fd: 3 }, "fd", "unknown field; allowed: type, mode"),
  open({}, "", "must have one of path, map_id, prog_id"),
  open({ map_id: "1" }, "/map_id", 'must be an integer, got "1"'),
  open({ path: "/x", map_id: 1 }, "/map_id", "unknown field; allowed: path, file_flags"),
  open([], "", "must be an object, got an array"),
  run({ data: "" }, "data", "unknown field: did you mean data_in?"),
  run(
    { x: "" },
    "x",
    "unknown field; allowed: data_in, ctx_in, repeat, data_size_out, flags, seed",
  ),
  run({ ctx_in: 5 }, "ctx_in", "must be a string or an object, got 5"),
  run(
    { ctx_in: { mark: {} } },
    "ctx_in/mark",
    "must be an integer or a string or an array, got an object",
  ),
  run({ ctx_in: { cb: [1, -1] } }, "ctx_in/cb/1", "must be >= 0, got -1"),
  ["POST /v1/fds/3/batch", { op: "UPDATE" }, "/body/op", "did you mean update?"],
  ["PUT /v1/fds/3/elements/00", { val: "00" }, "/body/value", "is missing"],
  [
    "PUT /v1/fds/3/elements/00",
    { value: "5" },
    "/body/value",
    "write a number with its type, as u32:5",
  ],
  ["PUT /v1/fds/3/elements/00", { value: "0x05" }, "/body/value", "hex has no 0x"],
  ["GET /v1/maps?limits=5", undefined, "/query/limits", "did you mean limit?"],
  ["GET /v1/maps?limit=0", undefined, "/query/limit", "must be >= 1"],
  ["GET /v1/session?x=1", undefined, "/query/x", "unknown parameter; this operation has none"],
  ["GET /v1/fs", undefined, "/query/path", "is missing"],
];

describe("details of wrong requests", () => {
  let session: TestSession;

  const titled = BODIES.map((row) => [`${row[0]} at ${row[2]}`, row] as const);

  it.each(titled)("the detail explains %s", async (_title, [request, body, pointer, says]) => {
    session = await service.session(service.namespace());
    const [method = "", path = ""] = request.split(" ");
    const { status, body: problem } = await session.send(method, path, body);
    expect([status, problem.errno]).toEqual([400, "EINVAL"]);
    expect(problem.errors).toEqual([{ pointer, detail: expect.stringContaining(says) }]);
    const field = pointer.replace(/^\/(body|query)\/?/, "") || "body";
    expect(problem.detail).toBe(`${field}: ${problem.errors[0].detail}`);
    expect(problem.detail.length).toBeLessThan(500);
  });

  it("a map of maps without a template gets a detail that names what is missing", async () => {
    session = await service.session(service.namespace());
    const { body } = await session.post("/v1/maps", { ...HASH, map_type: "hash_of_maps" });
    expect([body.errno, body.detail]).toEqual([
      "EINVAL",
      "inner_map_fd is missing: it must be a map like those that the map of maps will hold",
    ]);
  });

  it("an unknown map_type number gets a detail that lists the names", async () => {
    session = await service.session(service.namespace());
    const unknown = await session.post("/v1/maps", { ...HASH, map_type: 99 });
    expect(unknown.body).toMatchObject({ errno: "EINVAL" });
    expect(unknown.body.detail).toMatch(/^unknown map_type 99, known are array, .*, stack$/);
  });

  it("an unknown path points to the contract, an unknown method lists the allowed ones", async () => {
    session = await service.session(service.namespace());
    const nowhere = await session.get("/v1/map");
    expect([nowhere.status, nowhere.body.detail]).toEqual([404, "no route /v1/map; see /docs"]);
    const { body, headers } = await session.put("/v1/maps", HASH);
    expect(body.detail).toBe("PUT is not allowed; allowed: GET, HEAD, POST");
    expect(headers.get("allow")).toBe("GET, HEAD, POST");
  });
});

describe("did you mean", () => {
  const WORDS = ["hash", "lru_hash", "lpm_trie", "key_size", "exit"];

  it.each([
    ["Hash", "hash"],
    ["BPF_MAP_TYPE_HASH", "hash"],
    ["lruhash", "lru_hash"],
    ["lpm-trie", "lpm_trie"],
    ["KeySize", "key_size"],
    ["exti", "exit"],
    ["haash", "hash"],
  ])("the nearest word to %s is %s", (word, meant) => {
    expect(nearest(word, WORDS)).toBe(meant);
  });

  it.each(["tree", "x", "", "bpf_", "hash".repeat(20)])("no word is near to %j", (word) => {
    expect(nearest(word, WORDS)).toBeUndefined();
  });
});
