import { Errno, isErrno } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { stepOf, unrecorded } from "../redis/idempotency.ts";
import { bytes, number, padWithZeros, text } from "../redis/reply.ts";
import type { Argument, RedisValue } from "../redis/script.ts";

/**
 * The four batch commands: many elements a call, moved in steps of one script each. As in the kernel
 * a batch is no atomic step: it stops at its first failure, and what it did before stays done.
 */

/** Elements of one step, and bytes of it: what a script does in a few ms. */
const STEP = 1000;
/** Taking an element out costs three times as much as reading it. */
const TAKE_STEP = 500;
const STEP_BYTES = 262_144;
/** What one answer holds at most. */
const ANSWER_BYTES = 16 * 1024 * 1024;
const NONE = Buffer.alloc(0);

export interface BatchRead {
  cursor: Buffer | undefined;
  count: number;
  elem_flags: number;
  flags: number;
}

export interface BatchWrite {
  /** Key and value by turns, or keys alone. */
  elements: Buffer;
  count: number;
  /** Elements that are given; the next one is EFAULT. */
  there: number;
  /** Undefined: the map's own. */
  key_size: number | undefined;
  elem_flags: number;
}

export interface Batch {
  count: number;
  /** Key and value by turns. */
  elements: Buffer;
  key_size: number;
  /** Where to go on; undefined when nothing was read. */
  cursor: Buffer | undefined;
  /** The values are ids of objects. */
  ids: boolean;
  /** What came after it: ENOENT at the end of the map. */
  failure?: Errno;
}

type BatchStep = (call: Call, ...args: Argument[]) => Promise<RedisValue[]>;

/** One batch on its way from step to step. */
class Steps {
  readonly #first: Call;
  readonly #asked: number;
  readonly #step: BatchStep;
  #n = 0;
  count = 0;

  constructor(first: Call, asked: number, step: BatchStep) {
    this.#first = first;
    this.#asked = asked;
    this.#step = step;
  }

  get begun(): boolean {
    return this.#n > 0;
  }

  /** @throws Errno that tells the count: before the first element Linux leaves it as it was. */
  async take(...args: Argument[]): Promise<RedisValue[]> {
    this.#n += 1;
    try {
      return await this.#step(stepOf(this.#first, this.#n), ...args);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      const extensions = { count: this.#n === 1 ? this.#asked : this.count };
      throw new Errno(error.code, error.message, { extensions });
    }
  }
}

/** A step; a failure after the first element does not undo what was read. */
async function attempt(
  steps: Steps,
  asked: BatchRead,
  from: Buffer,
  most: number,
): Promise<RedisValue[] | Errno> {
  const limit = Math.min(most, asked.count - steps.count);
  const how = [asked.elem_flags, asked.flags, steps.begun ? 0 : 1];
  try {
    return await steps.take(from, limit, ...how);
  } catch (error) {
    if (steps.count === 0 || !(error instanceof Errno)) throw error;
    return error;
  }
}

/** Elements in one piece; of large values that are partly unwritten Redis answers the parts. */
function elementsOf(reply: RedisValue | undefined): Buffer {
  if (!Array.isArray(reply)) return bytes(reply);
  const [size, ...parts] = reply;
  return Buffer.concat(
    parts.map((part, i) => (i % 2 ? padWithZeros(bytes(part), number(size)) : bytes(part))),
  );
}

async function read(first: Call, asked: BatchRead, step: BatchStep, most = STEP): Promise<Batch> {
  const steps = new Steps(first, asked.count, step);
  const batch: Batch = { count: 0, elements: NONE, key_size: 0, cursor: undefined, ids: false };
  const parts: Buffer[] = [];
  let from = asked.cursor ?? NONE;
  const done = (failure?: Errno): Batch => {
    const cursor = steps.count > 0 ? from : undefined;
    const all = { ...batch, count: steps.count, elements: Buffer.concat(parts), cursor };
    return failure ? { ...all, failure } : all;
  };
  for (let size = 0; ; ) {
    const reply = await attempt(steps, asked, from, most);
    if (reply instanceof Errno) return done(reply);
    const [elements, some, rest, last, ids, whole, key_size] = reply;
    Object.assign(batch, { key_size: number(key_size), ids: ids === 1 });
    const part = elementsOf(elements);
    parts.push(part);
    size += part.length;
    steps.count += number(some);
    from = (rest as Buffer | null) ?? from;
    const full = steps.count === asked.count;
    if (last === 1 && (whole === 1 || !full))
      return done(new Errno("ENOENT", "the end of the map"));
    // Cut short, too, as the kernel's is by a bucket that does not fit.
    if (full || size > ANSWER_BYTES) return done();
  }
}

async function write(first: Call, asked: BatchWrite, step: BatchStep): Promise<{ count: number }> {
  const { elements, count, there, key_size, elem_flags } = asked;
  const steps = new Steps(first, count, step);
  // Uneven elements are sent as none at all, for the kernel's other checks come first.
  const size = there > 0 && elements.length % there === 0 ? elements.length / there : 0;
  let most = Math.max(1, Math.min(STEP, Math.floor(STEP_BYTES / Math.max(1, size))));
  do {
    const some = Math.min(most, there - steps.count);
    const part = elements.subarray(steps.count * size, (steps.count + some) * size);
    const [did, errno, detail] = await steps.take(part, some, key_size ?? "", elem_flags);
    steps.count += number(did);
    const code = text(errno);
    if (isErrno(code)) throw new Errno(code, text(detail), { extensions: { count: steps.count } });
    // The type's own step is shorter: no more is sent than it takes.
    most = Math.min(most, Math.max(1, number(did)));
  } while (steps.count < there);
  if (there === count) return { count };
  throw new Errno("EFAULT", `${there} elements are given, count is ${count}`, {
    extensions: { count: there },
  });
}

export function batchCommands(run: RunCommand) {
  return {
    /** A read needs no record. */
    mapLookupBatch: (first: Call, fd: number, asked: BatchRead) =>
      read(unrecorded(first), asked, (call, ...args) => run(call, "map_lookup_batch", fd, ...args)),

    mapLookupAndDeleteBatch: (first: Call, fd: number, asked: BatchRead) =>
      read(
        first,
        asked,
        (call, ...args) => run(call, "map_lookup_and_delete_batch", fd, ...args),
        TAKE_STEP,
      ),

    mapUpdateBatch: (first: Call, fd: number, asked: BatchWrite) =>
      write(first, asked, (call, ...args) => run(call, "map_update_batch", fd, ...args)),

    mapDeleteBatch: (first: Call, fd: number, asked: BatchWrite) =>
      write(first, asked, (call, ...args) => run(call, "map_delete_batch", fd, ...args)),
  };
}
