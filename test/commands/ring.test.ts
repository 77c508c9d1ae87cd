import { expect, it } from "vitest";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { AT, makeRing, opened, SIZE, span } from "../support/ring_fixture.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Ring buffers: room, positions, order, lost records, rights. ring_wait.test.ts has waiting. */

const service = await testService();
const ringbuf = (size = SIZE) => makeRing(service, size);
const zeros = (bytes: number) => "00".repeat(bytes);
const read = async (s: TestSession, query = "") => (await s.get(`${AT}?${query}`)).body;
const data = (body: { records: { data: string }[] }) => body.records.map((record) => record.data);

/** Outputs records until one is rejected. @returns the number of accepted records. */
async function fill(session: TestSession, bytes: number): Promise<number> {
  const records = new Array<string>(600).fill(zeros(bytes));
  const { status, body } = await session.post(AT, { records });
  expect([status, body.errno]).toEqual([409, "EAGAIN"]);
  return body.count;
}

// Room

// What bpf_ringbuf_output() took on Linux 6.18, run until it answered -EAGAIN; of 4080 bytes, what its
// code says.
it.each([
  [0, 511],
  [1, 255],
  [7, 255],
  [8, 255],
  [9, 170],
  [24, 127],
  [100, 36],
  [504, 7],
  [512, 7],
  [4080, 1],
])("a ring buffer of 4096 bytes holds records of %i bytes %i times", async (bytes, count) => {
  const session = await ringbuf();
  expect(await fill(session, bytes)).toBe(count);
  expect((await session.get("/v1/fds/3")).body).toMatchObject({
    entries: count,
    failed_updates: 1,
  });
  // A consumed record makes room for one.
  const [first] = (await read(session)).records;
  await read(session, `position=${first.position}`);
  expect((await session.post(AT, { records: [zeros(bytes)] })).status).toBe(201);
  expect(await fill(session, bytes)).toBe(0);
});

it.each([4081, 4088, 100_000])(
  "a record of %i bytes never fits into 4096, and the answer says so",
  async (bytes) => {
    const session = await ringbuf();
    const { status, body } = await session.post(AT, { records: [zeros(bytes)] });
    expect([status, body.errno, body.count]).toEqual([409, "EAGAIN", 0]);
    expect(body.detail).toMatch(/never/);
    expect(await read(session)).toEqual({ records: [], position: 0, dropped: 1 });
  },
);

it("a list of records stops at the first that does not fit, and keeps those before it", async () => {
  const session = await ringbuf();
  const records = [zeros(2000), "aa", zeros(2100), "bb"];
  const { status, body } = await session.post(AT, { records });
  expect([status, body.errno, body.count]).toEqual([409, "EAGAIN", 2]);
  expect(data(await read(session))).toEqual([zeros(2000), "aa"]);
  expect((await read(session)).dropped).toBe(1);
  expect((await session.post(AT, { records: ["bb"] })).body).toEqual({
    position: span(2000) + 16 + 16,
    accepted: 1,
  });
});

it("a record as octets is one record, with its flags in the query", async () => {
  const session = await ringbuf();
  const octets = Buffer.from([1, 2, 0, 255]);
  expect((await session.post(AT, octets)).body).toEqual({ position: 16, accepted: 1 });
  expect((await session.post(`${AT}?flags=1`, octets)).body.position).toBe(32);
  expect((await session.post(`${AT}?flags=4`, octets)).body.errno).toBe("EINVAL");
  expect(data(await read(session))).toEqual(["010200ff", "010200ff"]);
  expect(data(await read(session, "format=base64"))).toEqual(["AQIA/w==", "AQIA/w=="]);
});

// bpf_ringbuf_output(): "if (unlikely(flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))) return -EINVAL;"
it.each([
  [0, 201],
  [1, 201],
  [2, 201],
  [3, 201],
  [4, 400],
  [2 ** 53 - 1, 400],
])("an output with flags %i answers %i", async (flags, status) => {
  const session = await ringbuf();
  expect((await session.post(AT, { records: ["aa"], flags })).status).toBe(status);
  expect((await read(session)).records).toHaveLength(status === 201 ? 1 : 0);
});

it("a repeat with the same Idempotency-Key adds no record and repeats the failure", async () => {
  const session = await ringbuf();
  const key = (name: string) => ({ "idempotency-key": name });
  const some = { records: ["aa", "bb"] };
  const first = await session.post(AT, some, key("a"));
  expect((await session.post(AT, some, key("a"))).body).toEqual(first.body);
  const large = { records: [zeros(4040), "cc"] };
  for (const _ of [1, 2]) {
    const { body } = await session.post(AT, large, key("b"));
    expect([body.errno, body.count]).toEqual(["EAGAIN", 1]);
  }
  expect((await read(session)).records).toHaveLength(3);
  expect((await read(session)).dropped).toBe(1);
});

// Positions

it("records come in order with the next position; reading from there consumes them", async () => {
  const session = await ringbuf();
  await session.post(AT, { records: ["u8:1", "", "u64:3+u8:4"] });
  const all = {
    records: [
      { position: 16, data: "01" },
      { position: 24, data: "" },
      { position: 48, data: "030000000000000004" },
    ],
    position: 48,
    dropped: 0,
  };
  expect(await read(session)).toEqual(all);
  expect(await read(session), "nothing was consumed by reading").toEqual(all);
  expect(await read(session, "limit=1")).toEqual({
    ...all,
    records: all.records.slice(0, 1),
    position: 16,
  });
  expect(await read(session, "position=16")).toEqual({ ...all, records: all.records.slice(1) });
  expect(await read(session)).toEqual({ ...all, records: all.records.slice(1) });
  expect((await session.get("/v1/fds/3")).body.entries).toBe(2);
  expect(await read(session, "position=48")).toEqual({ ...all, records: [] });
  expect((await session.get("/v1/fds/3")).body.entries).toBe(0);
  expect(await read(session, "position=0"), "what was consumed can be read again").toEqual(all);
  expect((await session.get("/v1/fds/3")).body.entries, "and stays consumed").toBe(0);
});

it("a read through a read-only fd or of a frozen map consumes nothing", async () => {
  const session = await ringbuf();
  const watcher = await opened(session, 8);
  expect(await fill(session, 1000)).toBe(4);
  const { position } = await read(watcher);
  expect(await read(watcher, `position=${position}`)).toMatchObject({ records: [], position });
  expect((await session.get("/v1/fds/3")).body.entries).toBe(4);
  expect(await fill(session, 1000)).toBe(0);
  await session.post("/v1/fds/3/freeze");
  expect(await read(session, `position=${position}`)).toMatchObject({ records: [], position });
  expect((await read(session)).records).toHaveLength(4);
  expect((await session.get("/v1/fds/3")).body.entries).toBe(4);
});

it("a late reader learns how many bytes were missed", async () => {
  const session = await ringbuf();
  const watcher = await opened(session, 8);
  let sent = 0;
  let position = 0;
  for (let round = 0; round < 200; round++) {
    const records = Array.from(
      { length: 7 },
      (_, i) => `u32:${sent + i}+hex:${zeros(round % 120)}`,
    );
    expect((await session.post(AT, { records })).status).toBe(201);
    const body = await read(session, `position=${position}&limit=7`);
    const numbers = data(body).map((text) => Buffer.from(text, "hex").readUInt32LE());
    expect(numbers).toEqual(records.map((_, i) => sent + i));
    expect(body.missed).toBeUndefined();
    sent += 7;
    position = body.position;
  }
  expect(position).toBeGreaterThan(20 * SIZE);
  const late = await read(watcher, "position=8&limit=1000");
  const [first] = late.records;
  const start = first.position - span(first.data.length / 2);
  expect(late.missed).toBe(start - 8);
  expect(position - start).toBeLessThanOrEqual(SIZE);
  expect(position - start).toBeGreaterThan(SIZE - span(4 + 120));
  expect(late.position).toBe(position);
});

it("a position within a record counts as past it", async () => {
  const session = await ringbuf();
  await session.post(AT, { records: ["aa", "bb"] });
  expect(await read(session, "position=3")).toMatchObject({ missed: 13, position: 32 });
  expect((await session.get("/v1/fds/3")).body.entries).toBe(1);
  expect(await read(session, "position=17")).toEqual({
    records: [],
    position: 32,
    missed: 15,
    dropped: 0,
  });
  expect((await session.get("/v1/fds/3")).body.entries).toBe(0);
});

it("one answer has about 64 KiB of records, or one larger record", async () => {
  const session = await ringbuf(2 ** 20);
  const records = Array.from({ length: 10 }, (_, i) => `u8:${i}+hex:${zeros(20_000)}`);
  await session.post(AT, { records: [...records, zeros(300_000), "aa"] });
  const counts: number[] = [];
  for (let position = 0, more = true; more; ) {
    const body = await read(session, `position=${position}&limit=1000`);
    counts.push(body.records.length);
    position = body.position;
    more = body.records.length > 0;
  }
  expect(counts).toEqual([4, 4, 3, 1, 0]);
});

// Rights, and rejected requests

it("a read-only fd rejects output, a write-only fd rejects reads, a frozen map both", async () => {
  const session = await ringbuf();
  const reader = await opened(session, 8);
  const writer = await opened(session, 16);
  expect((await reader.post(AT, { records: ["aa"] })).body.errno).toBe("EPERM");
  expect((await writer.post(AT, { records: ["aa"] })).status).toBe(201);
  expect((await writer.get(AT)).body.errno).toBe("EPERM");
  await session.post("/v1/fds/3/freeze");
  expect((await session.post(AT, { records: ["aa"] })).body.errno).toBe("EPERM");
  expect((await read(session)).records).toHaveLength(1);
  expect((await read(session)).dropped).toBe(0);
});

it("reading records of another map, a program or a closed fd fails", async () => {
  const session = await service.session(service.namespace());
  const sizes = { key_size: 4, value_size: 4, max_entries: 8 };
  await session.post("/v1/maps", { map_type: "hash", ...sizes });
  await session.post("/v1/maps", { map_type: "queue", ...sizes, key_size: 0 });
  await session.post("/v1/progs", { insns: RETURN_ZERO_HEX });
  const errnos = { 3: "ENOTSUPP", 4: "ENOTSUPP", 5: "EINVAL", 6: "EBADF", 0: "EINVAL" };
  for (const [fd, errno] of Object.entries(errnos)) {
    const put = await session.post(`/v1/fds/${fd}/records`, { records: ["aa"] });
    const got = await session.get(`/v1/fds/${fd}/records?wait_ms=30000`);
    const events = await session.get(`/v1/fds/${fd}/records`, { accept: "text/event-stream" });
    expect([put.body.errno, got.body.errno, events.body.errno], fd).toEqual([errno, errno, errno]);
  }
});

it.each([
  "position=17",
  "position=9007199254740991",
  "position=9007199254740992",
  "position=-1",
  "position=1.5",
  "position=0x10",
  "position=",
  "limit=0",
  "limit=1001",
  "wait_ms=30001",
  "format=json",
])("%s is EINVAL and consumes nothing", async (query) => {
  const session = await ringbuf();
  await session.post(AT, { records: ["aa"] });
  const { status, body } = await session.get(`${AT}?${query}`);
  expect([status, body.errno]).toEqual([400, "EINVAL"]);
  expect((await session.get("/v1/fds/3")).body.entries).toBe(1);
});

it.each(["-1", "0x10", "1.5", "", "17", "9007199254740993", "99999999999999999999"])(
  "the Last-Event-ID %j is EINVAL",
  async (id) => {
    const session = await ringbuf();
    await session.post(AT, { records: ["aa"] });
    const headers = { accept: "text/event-stream", "last-event-id": id };
    const { status, body } = await session.get(AT, headers);
    expect([status, body.errno]).toEqual([400, "EINVAL"]);
  },
);

it.each([
  {},
  { records: [] },
  { records: new Array(1001).fill("aa") },
  { records: ["a"] },
  { records: ["aa", "u8:256"] },
  { records: [{ fd: 3 }] },
  { records: "aa" },
  { records: ["aa"], flags: -1 },
  { records: ["aa"], position: 0 },
])("a wrong output is EINVAL and adds nothing, case %#", async (body) => {
  const session = await ringbuf();
  const answer = await session.post(AT, body);
  expect([answer.status, answer.body.errno]).toEqual([400, "EINVAL"]);
  expect(answer.body.errors[0].pointer).toMatch(/^\/body/);
  expect(await read(session)).toEqual({ records: [], position: 0, dropped: 0 });
});

it("a record of 4 MiB goes in and comes out unchanged", async () => {
  const session = await ringbuf(2 ** 23);
  const large = Buffer.alloc(4 * 1024 * 1024, "ring");
  expect((await session.post(AT, large)).status).toBe(201);
  expect((await session.post(AT, { records: [large.toString("hex")] })).body.errno).toBe("EAGAIN");
  await read(session, `position=${span(large.length)}`);
  expect((await session.post(AT, { records: [large.toString("hex")] })).status).toBe(201);
  const [record] = (await read(session, "format=base64")).records;
  expect(Buffer.from(record.data, "base64").equals(large)).toBe(true);
});
