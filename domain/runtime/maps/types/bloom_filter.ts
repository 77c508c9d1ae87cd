import { toBuffer } from "../../../bytes.ts";
import { ERRNO } from "../../../errno.ts";
import { MissingData } from "../../fault.ts";
import { type IndexKey, readIndexKey } from "../index_key.ts";
import { type Effects, RunMap } from "../map.ts";

/**
 * BPF_MAP_TYPE_BLOOM_FILTER (kernel/bpf/bloom_filter.c). False positives that arise from two
 * values of the same run are not simulated: a filter may have them, but need not.
 */

const EMPTY = new Uint8Array(0);

export class BloomFilter extends RunMap {
  readonly #pushed = new Map<IndexKey, Uint8Array>();
  readonly #peeked = new Map<IndexKey, { key: Uint8Array; isPresent: boolean }>();
  #index: Map<IndexKey, boolean> | undefined;

  #keyOf(value: number): IndexKey {
    return readIndexKey(this.arena.bytes, value, this.view.value_size);
  }

  get #fetched(): Map<IndexKey, boolean> {
    this.#index ??= new Map(
      this.view.elements.map(({ key, value }) => [
        readIndexKey(toBuffer(key), 0, this.view.value_size),
        value !== null,
      ]),
    );
    return this.#index;
  }

  override push(value: number, flags: number): number {
    if (flags !== 0) return -ERRNO.EINVAL;
    const indexKey = this.#keyOf(value);
    if (this.#pushed.has(indexKey)) return 0;
    this.run.charge(this.view.value_size);
    this.#pushed.set(indexKey, this.arena.copy(value, this.view.value_size));
    return 0;
  }

  /** Returns 0 when the filter may contain the value. */
  override peek(value: number): number {
    const indexKey = this.#keyOf(value);
    if (this.#pushed.has(indexKey)) return 0;
    const key = this.arena.copy(value, this.view.value_size);
    const isPresent = this.#fetched.get(indexKey);
    if (isPresent === undefined) throw new MissingData({ map: this.view.id, key });
    this.#peeked.set(indexKey, { key, isPresent });
    return isPresent ? 0 : -ERRNO.ENOENT;
  }

  override collectEffects({ reads, writes }: Effects): void {
    const map = this.view.id;
    for (const { key, isPresent } of this.#peeked.values()) {
      reads.push({ map, key, value: isPresent ? EMPTY : null });
    }
    for (const value of this.#pushed.values()) writes.push({ op: "push", map, value, flags: 0 });
  }
}
