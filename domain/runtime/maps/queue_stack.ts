// What queues and stacks share (kernel/bpf/queue_stack_maps.c). A run that only pushes reads nothing, as
// long as it finds room; one that sees elements depends on the whole map.

import { ERRNO } from "../../errno.ts";
import { BPF_EXIST, BPF_NOEXIST } from "../../isa/uapi.ts";
import { MissingData } from "../fault.ts";
import type { WriteSetEntry } from "../job.ts";
import { type Effects, RunMap } from "./map.ts";

type Push = Extract<WriteSetEntry, { op: "push" }>;

/** So many are shown unasked, where they are small. */
const UNASKED = 16;

export abstract class QueueStack extends RunMap {
  /** Fetched elements that were taken from the front, and from the other end to make room. */
  #taken = 0;
  #dropped = 0;
  /** Pushed and not popped again, in this order. */
  protected readonly pushed: Push[] = [];
  readonly #log = new Set<WriteSetEntry>();
  #refused = false;
  #looked = false;
  #discarding = false;

  get #left(): number {
    return this.view.entries - this.#taken - this.#dropped;
  }

  get #count(): number {
    return this.#left + this.pushed.length;
  }

  /** Whether the newest is popped first. */
  protected abstract readonly newestFirst: boolean;

  override push(value: number, flags: number): number {
    if (flags === BPF_NOEXIST || flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (this.#count >= this.view.max_entries) {
      if (flags !== BPF_EXIST) {
        this.#refused = true;
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

  /** The push that makes this necessary does it at the commit. */
  #dropOldest(): void {
    if (this.#left === 0) this.pushed.shift();
    else if (this.newestFirst) this.#dropped++;
    else this.#taken++;
    this.#discarding = true;
  }

  /** The element that is popped next; undefined in an empty map. */
  #front(): Uint8Array | undefined {
    this.#looked = true;
    if (this.newestFirst && this.pushed.length > 0) return this.pushed.at(-1)?.value;
    if (this.#left === 0) return this.pushed[0]?.value;
    const value = this.view.elements[this.#taken]?.value;
    if (value) return value;
    throw new MissingData({ map: this.view.id, front: UNASKED + 2 * (this.#taken + 1) });
  }

  override peek(value: number): number {
    const front = this.#front();
    const { bytes } = this.arena;
    bytes.fill(0, value, value + this.view.value_size);
    if (front === undefined) return -ERRNO.ENOENT;
    bytes.set(front, value);
    return 0;
  }

  override pop(value: number): number {
    const errno = this.peek(value);
    if (errno === 0) this.#take();
    return errno;
  }

  /** What was pushed and popped leaves no trace, unless something made room for it. */
  #take(): void {
    const popped = this.#takeOwn();
    if (popped === undefined) this.#taken++;
    if (popped === undefined || this.#discarding) {
      this.#log.add({ op: "pop", map: this.view.id });
      return;
    }
    this.#log.delete(popped);
    this.run.release(popped.value.length);
  }

  #takeOwn(): Push | undefined {
    if (this.newestFirst) return this.pushed.pop();
    return this.#left === 0 ? this.pushed.shift() : undefined;
  }

  override finish({ reads, ops }: Effects): void {
    const map = this.view.id;
    if (this.#looked || (this.#refused && this.#log.size > 0)) reads.push({ map, unchanged: true });
    else if (this.#refused) reads.push({ map, full: true });
    ops.push(...this.#log);
  }
}
