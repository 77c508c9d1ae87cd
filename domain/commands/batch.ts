import { SHARED_BYTES, share } from "../bytes.ts";
import { Errno, isErrno, OutcomeUnknown, Unavailable } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { stepOf, unrecorded } from "../redis/idempotency.ts";
import type { Argument, RedisValue } from "../redis/redis_value.ts";
import { bytes, number, text } from "../redis/reply.ts";

/**
 * The four batch commands process many elements per call, in steps of one script each. As in the kernel
 * a batch is not atomic: it stops at its first failure and keeps what it did before.
 */

/** The most elements and bytes of one step, which a script handles in a few ms. */
const STEP = 1000;
/** Lookup-and-delete of an element costs three times as much as a lookup. */
const TAKE_STEP = 500;
const STEP_BYTES = 262_144;
/** A batch that has read more ends early. */
const ANSWER_BYTES = 16 * 1024 * 1024;
/** A batch that is to read more asks for room. */
const ROOM_BYTES = 64 * 1024;
const NONE = Buffer.alloc(0);

export interface BatchRead {
  cursor: Buffer | undefined;
  count: number;
  elem_flags: number;
  flags: number;
  /** Takes the end of the map as success instead of ENOENT. */
  end_as_success?: boolean | undefined;
  /** Resolves when there is room for so many elements, of so many bytes in all. @throws Unavailable */
  enterRoom?(size: BatchSize): Promise<void>;
}

export interface BatchSize {
  bytes: number;
  count: number;
}

export interface BatchWrite {
  /** Alternating keys and values, or keys alone. */
  elements: Buffer;
  count: number;
  /** Number of elements in `elements`; when `count` is larger, the batch ends with EFAULT. */
  there: number;
  /** The map's own when undefined. */
  key_size: number | undefined;
  elem_flags: number;
}

export interface Batch {
  count: number;
  /** Alternating keys and values, whole elements in each part. The parts are never joined, for they are long. */
  parts: readonly Buffer[];
  /** Bytes of all parts. */
  size: number;
  key_size: number;
  /** Where the next batch continues; undefined when nothing was read. */
  cursor: Buffer | undefined;
  /** The values are ids of objects. */
  ids: boolean;
  /** The failure that ended the batch: ENOENT at the end of the map. */
  failure?: Errno;
  /** True at the end of the map if the request takes it as success; then there is no cursor. */
  isEnd?: boolean;
}

type BatchStep = (call: Call, ...args: Argument[]) => Promise<RedisValue[]>;

interface BatchCommand {
  run: BatchStep;
  /** It changes the map. */
  changes: boolean;
}

/** Runs a batch step by step and counts its elements. */
class Steps {
  readonly #first: Call;
  readonly #requested: number;
  readonly #step: BatchStep;
  readonly #changes: boolean;
  #n = 0;
  count = 0;

  constructor(first: Call, requested: number, { run, changes }: BatchCommand) {
    this.#first = first;
    this.#changes = changes;
    this.#requested = requested;
    this.#step = run;
  }

  get begun(): boolean {
    return this.#n > 0;
  }

  /** The steps before are done, so a batch of changes is not "unavailable" as a whole. */
  #broken(error: Unavailable): Error {
    if (!this.#changes) return error;
    return new OutcomeUnknown(`the first ${this.count} elements are done: ${error.message}`);
  }

  /** @throws Errno with the count; when the first step fails, Linux leaves the count unchanged. */
  async take(...args: Argument[]): Promise<RedisValue[]> {
    this.#n += 1;
    try {
      const isBegun = this.#n > 1;
      return await this.#step({ ...stepOf(this.#first, this.#n), isBegun }, ...args);
    } catch (error) {
      if (error instanceof Unavailable && this.count > 0) throw this.#broken(error);
      if (!(error instanceof Errno)) throw error;
      const { code, message, field } = error;
      const extensions = { count: this.#n === 1 ? this.#requested : this.count };
      throw new Errno(code, message, { ...(field && { field }), extensions });
    }
  }
}

/** Runs a step; returns a failure after the first element, which must not discard what was read. */
async function attempt(
  steps: Steps,
  attr: BatchRead,
  from: Buffer,
  most: number,
): Promise<RedisValue[] | Errno> {
  const limit = Math.min(most, attr.count - steps.count);
  const how = [attr.elem_flags, attr.flags, steps.begun ? 0 : 1];
  try {
    return await steps.take(from, limit, ...how);
  } catch (error) {
    if (steps.count === 0 || !(error instanceof Errno)) throw error;
    return error;
  }
}

/** Puts keys and values together; what was never written of a value is zero. */
function joinTrimmed(size: number, list: readonly Buffer[]): Buffer {
  const element = (list[0]?.length ?? 0) + size;
  const joined = Buffer.from(new SharedArrayBuffer((list.length / 2) * element));
  for (const [i, part] of list.entries()) {
    joined.set(part, Math.floor(i / 2) * element + (i % 2 === 1 ? element - size : 0));
  }
  return joined;
}

/** The elements of a step, long ones in memory that threads share. Redis answers long values as a list. */
function elementsOf(reply: RedisValue | undefined): Buffer {
  if (Array.isArray(reply)) return joinTrimmed(number(reply[0]), reply.slice(1).map(bytes));
  const elements = bytes(reply);
  return elements.length > SHARED_BYTES ? share(elements) : elements;
}

/** The size of a batch of so many elements at most, by the elements of its first step. */
function expectedSize({ bytes, count }: BatchSize, requested: number): BatchSize {
  const growth = Math.min(requested / count, 1 + ANSWER_BYTES / bytes);
  return { bytes: Math.ceil(bytes * growth), count: Math.ceil(count * growth) };
}

/**
 * Waits for room for what the batch will read, when it has read some.
 *
 * @returns false if it has to end, because what it has taken out of the map must not be lost.
 */
async function enterRoom(
  attr: BatchRead,
  { changes }: BatchCommand,
  read: BatchSize,
  isLast: boolean,
): Promise<boolean> {
  const { bytes, count } = isLast ? read : expectedSize(read, attr.count);
  if (bytes <= ROOM_BYTES) return true;
  try {
    await attr.enterRoom?.({ bytes, count });
    return true;
  } catch (error) {
    if (changes && error instanceof Unavailable) return false;
    throw error;
  }
}

/** What a batch has read so far. */
class ElementsRead {
  readonly #parts: Buffer[] = [];
  readonly #batch = { key_size: 0, ids: false };
  #from: Buffer;
  bytes = 0;

  constructor(from: Buffer) {
    this.#from = from;
  }

  /** Where the next step continues. */
  get from(): Buffer {
    return this.#from;
  }

  add([elements, , rest, , ids, , key_size]: RedisValue[]): void {
    const part = elementsOf(elements);
    this.#parts.push(part);
    this.bytes += part.length;
    this.#from = (rest as Buffer | null) ?? this.#from;
    Object.assign(this.#batch, { key_size: number(key_size), ids: ids === 1 });
  }

  toBatch(count: number, failure?: Errno): Batch {
    const cursor = count > 0 ? this.#from : undefined;
    const all = { ...this.#batch, count, parts: this.#parts, size: this.bytes, cursor };
    return failure ? { ...all, failure } : all;
  }
}

async function read(
  first: Call,
  attr: BatchRead,
  command: BatchCommand,
  most = STEP,
): Promise<Batch> {
  const steps = new Steps(first, attr.count, command);
  const elements = new ElementsRead(attr.cursor ?? NONE);
  const done = (failure?: Errno) => elements.toBatch(steps.count, failure);
  let hasRoom = false;
  for (;;) {
    const reply = await attempt(steps, attr, elements.from, most);
    if (reply instanceof Errno) return done(reply);
    elements.add(reply);
    const [, some, , last, , whole] = reply;
    steps.count += number(some);
    const isFull = steps.count === attr.count;
    const isAtEnd = last === 1 && (whole === 1 || !isFull);
    const isLast = isAtEnd || isFull || elements.bytes > ANSWER_BYTES;
    if (!hasRoom) {
      const size = { bytes: elements.bytes, count: steps.count };
      hasRoom = await enterRoom(attr, command, size, isLast);
    }
    if (isAtEnd && attr.end_as_success) return { ...done(), cursor: undefined, isEnd: true };
    if (isAtEnd) return done(new Errno("ENOENT", "the end of the map"));
    // A short batch is allowed: the kernel ends one early when a bucket does not fit.
    if (isLast || !hasRoom) return done();
  }
}

/** A longer value is an argument of its own, so that the script need not copy it out of the elements. */
export const LONG_BYTES = 64 * 1024;

/** The arguments of a step: elements, and the value of a long one. */
function stepArgs(part: Buffer, count: number, { key_size, elem_flags }: BatchWrite): Argument[] {
  const how = [count, key_size ?? "", elem_flags];
  if (
    count > 1 ||
    part.length <= LONG_BYTES ||
    key_size === undefined ||
    part.length === key_size
  ) {
    return [part, ...how];
  }
  return [part.subarray(0, key_size), ...how, part.subarray(key_size)];
}

async function write(first: Call, attr: BatchWrite, run: BatchStep): Promise<{ count: number }> {
  const { elements, count, there } = attr;
  const steps = new Steps(first, count, { run, changes: true });
  // Elements of unequal size are sent as none, because the kernel's other checks come first.
  const size = there > 0 && elements.length % there === 0 ? elements.length / there : 0;
  let most = Math.max(1, Math.min(STEP, Math.floor(STEP_BYTES / Math.max(1, size))));
  do {
    const some = Math.min(most, there - steps.count);
    const part = elements.subarray(steps.count * size, (steps.count + some) * size);
    const [did, errno, detail] = await steps.take(...stepArgs(part, some, attr));
    steps.count += number(did);
    const code = text(errno);
    if (isErrno(code)) throw new Errno(code, text(detail), { extensions: { count: steps.count } });
    // The type may do shorter steps, so the next part is no larger than the last one done.
    most = Math.min(most, Math.max(1, number(did)));
  } while (steps.count < there);
  if (there === count) return { count };
  throw new Errno("EFAULT", `count must be at most the ${there} elements given, got ${count}`, {
    extensions: { count: there },
  });
}

export function batchCommands(run: RunCommand) {
  return {
    /** A lookup changes nothing, so it needs no record. */
    mapLookupBatch: (first: Call, fd: number, attr: BatchRead) =>
      read(unrecorded(first), attr, {
        run: (call, ...args) => run(call, "map_lookup_batch", fd, ...args),
        changes: false,
      }),

    mapLookupAndDeleteBatch: (first: Call, fd: number, attr: BatchRead) =>
      read(
        first,
        attr,
        {
          run: (call, ...args) => run(call, "map_lookup_and_delete_batch", fd, ...args),
          changes: true,
        },
        TAKE_STEP,
      ),

    mapUpdateBatch: (first: Call, fd: number, attr: BatchWrite) =>
      write(first, attr, (call, ...args) => run(call, "map_update_batch", fd, ...args)),

    mapDeleteBatch: (first: Call, fd: number, attr: BatchWrite) =>
      write(first, attr, (call, ...args) => run(call, "map_delete_batch", fd, ...args)),
  };
}
