import { ERRNO } from "../../../errno.ts";
import { BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RINGBUF_HDR_SZ } from "../../../isa/uapi.ts";
import { NONE, READ_WRITE, round8 } from "../../arena.ts";
import { RunFailure } from "../../fault.ts";
import type { MapView } from "../../job.ts";
import { type Effects, type RunContext, RunMap } from "../map.ts";

/**
 * BPF_MAP_TYPE_RINGBUF (kernel/bpf/ringbuf.c): records are in the order of their reservations. A
 * discarded record takes space until the run ends.
 */

/** BPF_RB_AVAIL_DATA and so on: the arguments of bpf_ringbuf_query(). */
const AVAIL_DATA = 0n;
const RING_SIZE = 1n;
const CONS_POS = 2n;
const PROD_POS = 3n;

interface RingSample {
  size: number;
  /** null while reserved and when discarded. */
  data: Uint8Array | null;
  flags: number;
}

export class Ringbuf extends RunMap {
  #producer: number;
  readonly #consumer: number;
  readonly #samples: RingSample[] = [];
  readonly #reserved = new Map<number, RingSample>();
  /** The result of the run depends on the positions. */
  #wasPositionRead = false;

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    this.#producer = view.producer ?? 0;
    this.#consumer = view.consumer ?? 0;
  }

  /** __bpf_ringbuf_reserve() */
  #claim(size: number): RingSample | undefined {
    const end = this.#producer + round8(size + BPF_RINGBUF_HDR_SZ);
    if (end - this.#consumer > this.view.max_entries - 1) {
      this.#wasPositionRead = true;
      return undefined;
    }
    this.run.charge(size);
    this.#producer = end;
    const sample: RingSample = { size, data: null, flags: 0 };
    this.#samples.push(sample);
    return sample;
  }

  output(data: number, size: number, flags: number): number {
    if (flags > BPF_RB_NO_WAKEUP + BPF_RB_FORCE_WAKEUP) return -ERRNO.EINVAL;
    const sample = this.#claim(size);
    if (sample === undefined) return -ERRNO.EAGAIN;
    sample.data = this.arena.copy(data, size);
    sample.flags = flags;
    return 0;
  }

  /** Returns the address of the record; 0 when it does not fit. */
  reserve(size: number, flags: number): number {
    const sample = flags === 0 ? this.#claim(size) : undefined;
    if (sample === undefined) return 0;
    const at = this.arena.reserve(size);
    this.arena.setAccess(at, size, READ_WRITE);
    this.#reserved.set(at, sample);
    return at;
  }

  /** Submits or discards a record; returns false when it was not reserved here. */
  commit(at: number, flags: number, isSubmitted: boolean): boolean {
    const sample = this.#reserved.get(at);
    if (sample === undefined) return false;
    if (isSubmitted) sample.data = this.arena.copy(at, sample.size);
    sample.flags = flags & (BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP);
    this.#reserved.delete(at);
    this.arena.setAccess(at, round8(sample.size), NONE);
    this.arena.deferFree(at, sample.size);
    return true;
  }

  query(what: bigint): bigint {
    if (what === RING_SIZE) return BigInt(this.view.max_entries);
    if (what > PROD_POS) return 0n;
    this.#wasPositionRead = true;
    if (what === AVAIL_DATA) return BigInt(this.#producer - this.#consumer);
    return BigInt(what === CONS_POS ? this.#consumer : this.#producer);
  }

  override collectEffects({ reads, writes }: Effects): void {
    const map = this.view.id;
    if (this.#reserved.size > 0)
      throw new RunFailure("memory", "a reserved record was neither submitted nor discarded");
    const producer = this.view.producer ?? 0;
    if (this.#wasPositionRead) reads.push({ map, producer, consumer: this.#consumer });
    for (const { data, flags } of this.#samples) {
      if (data !== null) writes.push({ op: "output", map, data, flags });
    }
  }
}
