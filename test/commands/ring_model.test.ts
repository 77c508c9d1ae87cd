import fc from "fast-check";
import { expect, it } from "vitest";
import { differences } from "../support/invariants/invariants.ts";
import { AT, makeRing, opened, SIZE, span } from "../support/ring_fixture.ts";
import { testService } from "../support/service.ts";

/** Ring buffers against a model of positions. */

const service = await testService();
const ringbuf = (size = SIZE) => makeRing(service, size);

interface Kept {
  start: number;
  end: number;
  data: string;
}

class RingModel {
  producer = 0;
  consumer = 0;
  dropped = 0;
  kept: Kept[] = [];

  output(records: string[]) {
    for (const [accepted, text] of records.entries()) {
      const end = this.producer + span(text.length / 2);
      if (end - this.consumer > SIZE - 1) {
        this.dropped += 1;
        return { errno: "EAGAIN", count: accepted };
      }
      this.kept.push({ start: this.producer, end, data: text });
      this.producer = end;
      this.kept = this.kept.filter(({ start }) => start >= end - SIZE);
    }
    return { position: this.producer, accepted: records.length };
  }

  read(from: number, limit: number, consumes: boolean) {
    if (from > this.producer) return { errno: "EINVAL" };
    const all = this.kept.filter(({ start }) => start >= from);
    if (consumes) this.consumer = Math.max(this.consumer, from);
    const records = all.slice(0, limit).map(({ end: position, data: text }) => ({
      position,
      data: text,
    }));
    const first = all[0]?.start ?? this.producer;
    const missed = first > from ? { missed: first - from } : {};
    return {
      records,
      position: records.at(-1)?.position ?? first,
      ...missed,
      dropped: this.dropped,
    };
  }

  left = () => this.kept.filter(({ start }) => start >= this.consumer).length;
}

const output = fc.array(fc.integer({ min: 0, max: 1500 }), { minLength: 1, maxLength: 8 });
const reading = fc.record({
  /** From the first byte to a little past the producer, or where the consumer is. */
  place: fc.oneof(fc.constantFrom(1, 1, null), fc.double({ min: 0, max: 1.02, noNaN: true })),
  aligned: fc.boolean(),
  limit: fc.integer({ min: 1, max: 10 }),
  watches: fc.boolean(),
});

it("random outputs and reads agree with a model of positions", async () => {
  let refusals = 0;
  let misses = 0;
  const property = fc.asyncProperty(
    fc.array(fc.oneof(output, reading), { minLength: 20, maxLength: 40 }),
    async (commands) => {
      const session = await ringbuf();
      const watcher = await opened(session, 8);
      const model = new RingModel();
      for (const [n, command] of commands.entries()) {
        if (Array.isArray(command)) {
          const records = command.map((size) => Buffer.alloc(size, n).toString("hex"));
          const wanted = model.output(records);
          expect((await session.post(AT, { records })).body).toMatchObject(wanted);
          if ("errno" in wanted) refusals += 1;
          continue;
        }
        const { place, aligned, limit, watches } = command;
        const start = Math.floor((place ?? 0) * model.producer);
        const from = model.kept.find((kept) => aligned && kept.start >= start)?.start ?? start;
        const position = place === null ? "" : `&position=${from}`;
        const { body } = await (watches ? watcher : session).get(`${AT}?limit=${limit}${position}`);
        const wanted = model.read(place === null ? model.consumer : from, limit, !watches);
        if ("errno" in wanted) expect(body.errno).toBe(wanted.errno);
        else expect(body).toEqual(wanted);
        if ("missed" in wanted) misses += 1;
      }
      expect((await session.get("/v1/fds/3")).body).toMatchObject({
        entries: model.left(),
        failed_updates: model.dropped,
      });
      const namespace = (await session.get("/v1/session")).body.namespace;
      expect(await differences(service.kernel.script.redis, namespace)).toEqual([]);
    },
  );
  await fc.assert(property, { numRuns: 40 });
  expect(Math.min(refusals, misses), "the model was put to the test").toBeGreaterThan(20);
});
