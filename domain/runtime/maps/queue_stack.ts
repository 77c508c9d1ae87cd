import { ERRNO } from "../../errno.ts";
import { BPF_EXIST, BPF_NOEXIST } from "../../isa/uapi.ts";
import { MissingData } from "../fault.ts";
import type { WriteSetEntry } from "../job.ts";
import { type Effects, RunMap } from "./map.ts";

/**
 * The base class of queues and stacks (kernel/bpf/queue_stack_maps.c). A run that only pushes, and
 * fits, reads nothing; a run that reads an element depends on the whole map.
 */

type Push = Extract<WriteSetEntry, { op: "push" }>;

/** A snapshot has so many small elements without a miss. */
const DEFAULT_FRONT = 16;

export abstract class QueueStack extends RunMap {
  /** Fetched elements that were popped, and those dropped at the other end to make room. */
  #poppedCount = 0;
  #droppedCount = 0;
  /** Elements pushed and not popped, in order. */
  protected readonly pushed: Push[] = [];
  readonly #log = new Set<WriteSetEntry>();
  #wasFull = false;
  #wasRead = false;
  #hasDiscarded = false;

  get #remaining(): number {
    return this.view.entries - this.#poppedCount - this.#droppedCount;
  }

  get #count(): number {
    return this.#remaining + this.pushed.length;
  }

  /** A stack pops the newest element first. */
  protected abstract readonly newestFirst: boolean;

  override push(value: number, flags: number): number {
    if (flags === BPF_NOEXIST || flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (this.#count >= this.view.max_entries) {
      if (flags !== BPF_EXIST) {
        this.#wasFull = true;
        return -ERRNO.E2BIG;
      }
      this.#dropOldest();
    }
    this.run.charge(this.view.value_size);
    const data = this.arena.copy(value, this.view.value_size);
    const op: Push = { op: "push", map: this.view.id, value: data, flags };
    this.pushed.push(op);
    this.#log.add(op);
    return 0;
  }

  /** At the commit, the push with BPF_EXIST drops the element. */
  #dropOldest(): void {
    if (this.#remaining === 0) this.pushed.shift();
    else if (this.newestFirst) this.#droppedCount++;
    else this.#poppedCount++;
    this.#hasDiscarded = true;
  }

  /** Returns the next element to pop; undefined in an empty map. */
  #readNext(): Uint8Array | undefined {
    this.#wasRead = true;
    if (this.newestFirst && this.pushed.length > 0) return this.pushed.at(-1)?.value;
    if (this.#remaining === 0) return this.pushed[0]?.value;
    const value = this.view.elements[this.#poppedCount]?.value;
    if (value) return value;
    throw new MissingData({
      map: this.view.id,
      front: DEFAULT_FRONT + 2 * (this.#poppedCount + 1),
    });
  }

  override peek(value: number): number {
    const next = this.#readNext();
    const { bytes } = this.arena;
    bytes.fill(0, value, value + this.view.value_size);
    if (next === undefined) return -ERRNO.ENOENT;
    bytes.set(next, value);
    return 0;
  }

  override pop(value: number): number {
    const errno = this.peek(value);
    if (errno === 0) this.#removeNext();
    return errno;
  }

  /** A push that the run pops again is not committed, unless an element was dropped for it. */
  #removeNext(): void {
    const popped = this.#removePushed();
    if (popped === undefined) this.#poppedCount++;
    if (popped === undefined || this.#hasDiscarded) {
      this.#log.add({ op: "pop", map: this.view.id });
      return;
    }
    this.#log.delete(popped);
    this.run.release(popped.value.length);
  }

  #removePushed(): Push | undefined {
    if (this.newestFirst) return this.pushed.pop();
    return this.#remaining === 0 ? this.pushed.shift() : undefined;
  }

  override collectEffects({ reads, writes }: Effects): void {
    const map = this.view.id;
    if (this.#wasRead || (this.#wasFull && this.#log.size > 0))
      reads.push({ map, unchanged: true });
    else if (this.#wasFull) reads.push({ map, full: true });
    writes.push(...this.#log);
  }
}
