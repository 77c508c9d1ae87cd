import { describe, expect, it } from "vitest";
import { MapFixture, makeMapFixture, outcome } from "../support/map_fixture.ts";
import { KINDS, type MapKind } from "../support/map_types.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Reads while other sessions write: a stable element is read once, and a snapshot is of one moment. */

const service = await testService();
const WRITERS = 2;
const STABLE = 60;
const WIDE = 256;

/** Runs every writer again and again until `reading` is done. @returns the number of rounds. */
async function meanwhile<T>(
  writers: ((turn: number) => Promise<unknown>)[],
  reading: () => Promise<T>,
) {
  let over = false;
  let turns = 0;
  const loops = writers.map(async (write) => {
    for (let turn = 0; !over; turn++) {
      await write(turn);
      turns += 1;
    }
  });
  try {
    return { read: await reading(), turns };
  } finally {
    over = true;
    await Promise.all(loops);
  }
}

/** The map behind an fd of a session of its own, which has the objects for the slots, too. */
async function shared(map: MapFixture): Promise<MapFixture> {
  const { namespace } = (await map.session.get("/v1/session")).body;
  const session = await service.session(namespace);
  const open = async (body: object) => (await session.post("/v1/fds", body)).body.fd;
  const objects = [];
  for (const { id } of map.objects) {
    objects.push({ id, fd: await open({ [`${map.kind.holds}_id`]: id }) });
  }
  const fd = await open({ map_id: map.id });
  return new MapFixture(session, map.kind, { fd, id: map.id }, map.cpus, objects);
}

async function pages(map: MapFixture, limit: number) {
  const elements: { key: string; value: unknown }[] = [];
  for (let cursor = ""; ; ) {
    const { status, body } = await map.dump(`limit=${limit}${cursor}`);
    expect(status, JSON.stringify(body)).toBe(200);
    elements.push(...body.elements);
    if (body.next_cursor === undefined) return elements;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

const has = (kind: MapKind) => kind.dump === "ok";
/** A cpumap has no more slots than there are CPUs. */
const keyed = KINDS.filter((kind) => has(kind) && kind.keyed && kind.cpus === undefined);

describe.each(keyed.map((kind) => [kind.map_type, kind] as const))("%s", (_type, kind) => {
  it("a dump shows each stable element exactly once while others come and go", async () => {
    // An LRU map must have room for them all: what it evicts does not stay.
    const max_entries = kind.evicts ? 4096 : WIDE;
    const map = await makeMapFixture(service, kind, { changes: { max_entries } });
    for (let n = 0; n < STABLE; n++) await map.update(2 * n);
    const others = await Promise.all(Array.from({ length: WRITERS }, () => shared(map)));
    const writers = others.map((other, w) => async (turn: number) => {
      const n = 2 * ((turn * 7 + w * 31) % (WIDE / 2)) + 1;
      if (outcome(await other.update(n, 0, turn)) === "ok" && turn % 3 > 0) await other.delete(n);
    });
    const before = (await map.info()).revision;
    const { read, turns } = await meanwhile(writers, async () => {
      const rounds = [];
      for (const limit of [5, 9, 17]) rounds.push(await pages(map, limit));
      return rounds;
    });
    expect(turns).toBeGreaterThan(0);
    expect((await map.info()).revision).toBeGreaterThan(before);
    for (const elements of read) {
      const keys = elements.map(({ key }) => key);
      expect(new Set(keys).size).toBe(keys.length);
      for (let n = 0; n < STABLE; n++) {
        const found = elements.filter(({ key }) => key === map.key(2 * n));
        expect(found).toEqual([{ key: map.key(2 * n), value: map.jsonValue(2 * n) }]);
      }
    }
  });
});

it.each(["queue", "stack"])(
  "a dump of a %s shows each value that is not popped once and in order",
  async (map_type) => {
    const kind = KINDS.find((other) => other.map_type === map_type) as MapKind;
    const map = await makeMapFixture(service, kind, { changes: { max_entries: 10_000 } });
    const front = map_type === "queue" ? 150 : 0;
    for (let n = 0; n < front; n++) await map.update(255);
    for (let n = 0; n < STABLE; n++) await map.update(n);
    const others = await Promise.all(Array.from({ length: WRITERS }, () => shared(map)));
    // A queue's pops take from the front, of which there is enough; a stack's what was just pushed.
    let left = front;
    const writers = others.map((other) => async () => {
      await other.update(254);
      if (map_type === "stack") await other.take(0);
      else if (left > 0) {
        left -= 1;
        await other.take(0);
      }
    });
    const { read, turns } = await meanwhile(writers, async () => [
      await pages(map, 7),
      await pages(map, 3),
    ]);
    expect(turns).toBeGreaterThan(0);
    const stable = Array.from({ length: STABLE }, (_, n) => map.jsonValue(n));
    for (const elements of read) {
      const values = elements.map(({ value }) => value);
      expect(values.filter((value) => stable.includes(value))).toEqual(stable);
    }
  },
);

const PAIRS = KINDS.filter((kind) => has(kind) && kind.batch.update === "ok" && !kind.holds);

describe.each(PAIRS.map((kind) => [kind.map_type, kind] as const))(
  "a snapshot of a %s",
  (_type, kind) => {
    it("a snapshot never shows half of what a batch changed", async () => {
      const map = await makeMapFixture(service, kind, { changes: { max_entries: 64 } });
      const far = 40;
      // Both keys have the same value after every batch.
      const both = (turn: number) => ({
        op: "update",
        keys: [map.key(1), map.key(far)],
        values: [map.value(turn % 200), map.value(turn % 200)],
      });
      await map.batch(both(0));
      const others = await Promise.all(Array.from({ length: WRITERS }, () => shared(map)));
      const writers = others.map((other) => (turn: number) => other.batch(both(turn)));
      const seen = new Set<unknown>();
      await meanwhile(writers, async () => {
        let last = 0;
        for (let n = 0; n < 400 && (n < 30 || seen.size < 5); n++) {
          const { elements, revision } = (await map.dump("snapshot=true")).body;
          const at = (key: string) => elements.find((e: { key: string }) => e.key === key)?.value;
          expect(at(map.key(1))).toBe(at(map.key(far)));
          expect(revision).toBeGreaterThanOrEqual(last);
          last = revision;
          seen.add(at(map.key(1)));
        }
      });
      expect(seen.size).toBeGreaterThanOrEqual(5);
    });
  },
);

it("of many concurrent writers with If-Match each counts once", async () => {
  const kind = KINDS.find(({ map_type }) => map_type === "hash") as MapKind;
  const map = await makeMapFixture(service, kind);
  const path = map.element(0);
  await map.session.put(path, { value: "00000000" });
  async function add(session: TestSession): Promise<void> {
    for (;;) {
      const { body, headers } = await session.get(path);
      const next = Buffer.alloc(4);
      next.writeUInt32LE(Buffer.from(body.value, "hex").readUInt32LE() + 1);
      const when = { "if-match": headers.get("etag") ?? "" };
      const { status } = await session.put(path, { value: next.toString("hex") }, when);
      if (status === 204) return;
      expect(status).toBe(412);
    }
  }
  await Promise.all(Array.from({ length: 20 }, () => add(map.session)));
  expect((await map.lookup(0)).body.value).toBe("14000000");
});
