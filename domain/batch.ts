import { bytes, type Call, number, type Run, text } from "./call.ts";
import { Errno, isErrno } from "./errno.ts";
import type { Argument, Value } from "./script.ts";

/**
 * The four batch commands: many elements a call, moved in steps of one script each. As in the kernel
 * a batch is no atomic step: it stops at its first failure, and what it did before stays done.
 */

/** Elements of one step, and bytes of it: what a script does in a few ms. */
const STEP = 500;
const STEP_BYTES = 262_144;
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
  /** ENOENT: the end of the map was reached. */
  ended: boolean;
}

type Step = (call: Call, ...args: Argument[]) => Promise<Value[]>;

/** One batch on its way from step to step. */
class Steps {
  readonly #first: Call;
  readonly #asked: number;
  readonly #step: Step;
  #n = 0;
  count = 0;

  constructor(first: Call, asked: number, step: Step) {
    this.#first = first;
    this.#asked = asked;
    this.#step = step;
  }

  get begun(): boolean {
    return this.#n > 0;
  }

  /** Each step has a record of its own, so that a repeat of the request repeats none of them. */
  #call(): Call {
    const { record } = this.#first;
    this.#n += 1;
    return record === "" ? this.#first : { ...this.#first, record: `${record}:${this.#n}` };
  }

  /** @throws Errno that tells the count: before the first element Linux leaves it as it was. */
  async take(...args: Argument[]): Promise<Value[]> {
    try {
      return await this.#step(this.#call(), ...args);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      const told = { count: this.#n === 1 ? this.#asked : this.count };
      throw new Errno(error.code, error.message, { told });
    }
  }
}

async function read(first: Call, asked: BatchRead, step: Step): Promise<Batch> {
  const steps = new Steps(first, asked.count, step);
  const parts: Buffer[] = [];
  let { cursor } = asked;
  for (;;) {
    const limit = Math.min(STEP, asked.count - steps.count);
    const how = [asked.elem_flags, asked.flags, steps.begun ? 0 : 1];
    const reply = await steps.take(cursor ?? NONE, limit, ...how);
    const [elements, some, rest, last, ids, whole, key_size] = reply;
    parts.push(bytes(elements));
    steps.count += number(some);
    cursor = (rest as Buffer | null) ?? cursor;
    const { count } = steps;
    const full = count === asked.count;
    if (!full && last !== 1) continue;
    const ended = last === 1 && (whole === 1 || !full);
    const all = { count, elements: Buffer.concat(parts), key_size: number(key_size) };
    return { ...all, cursor: count > 0 ? cursor : undefined, ids: ids === 1, ended };
  }
}

async function write(first: Call, asked: BatchWrite, step: Step): Promise<{ count: number }> {
  const { elements, count, key_size, elem_flags } = asked;
  const steps = new Steps(first, count, step);
  // Uneven elements are sent as none at all, for the kernel's other checks come first.
  const size = count > 0 && elements.length % count === 0 ? elements.length / count : 0;
  const most = Math.max(1, Math.min(STEP, Math.floor(STEP_BYTES / Math.max(1, size))));
  do {
    const some = Math.min(most, count - steps.count);
    const part = elements.subarray(steps.count * size, (steps.count + some) * size);
    const [did, errno, detail] = await steps.take(part, some, key_size ?? "", elem_flags);
    steps.count += number(did);
    const code = text(errno);
    if (isErrno(code)) throw new Errno(code, text(detail), { told: { count: steps.count } });
  } while (steps.count < count);
  return { count };
}

export function batchCommands(run: Run) {
  return {
    mapLookupBatch: (first: Call, fd: number, asked: BatchRead) =>
      read(first, asked, (call, ...args) => run(call, "map_lookup_batch", fd, ...args)),

    mapLookupAndDeleteBatch: (first: Call, fd: number, asked: BatchRead) =>
      read(first, asked, (call, ...args) => run(call, "map_lookup_and_delete_batch", fd, ...args)),

    mapUpdateBatch: (first: Call, fd: number, asked: BatchWrite) =>
      write(first, asked, (call, ...args) => run(call, "map_update_batch", fd, ...args)),

    mapDeleteBatch: (first: Call, fd: number, asked: BatchWrite) =>
      write(first, asked, (call, ...args) => run(call, "map_delete_batch", fd, ...args)),
  };
}
