import { toBuffer } from "../../../bytes.ts";
import { ERRNO } from "../../../errno.ts";
import { BPF_EXIST } from "../../../isa/uapi.ts";
import { MissingData } from "../../fault.ts";
import type { MapView } from "../../job.ts";
import type { Fetched } from "../htab.ts";
import type { IndexKey } from "../index_key.ts";
import type { Effects } from "../map.ts";
import { READ_PRESENCE, READ_VALUE, type TrackedElement } from "../tracked_element.ts";
import { Hash } from "./hash.ts";

/**
 * BPF_MAP_TYPE_LPM_TRIE (kernel/bpf/lpm_trie.c): a lookup finds the longest prefix that matches.
 * The read set contains which prefix that was, because a longer one would have changed the result.
 */

type TrieElement = MapView["elements"][number];

export class LpmTrie extends Hash {
  /** The result of the lookup of each fetched key, unless the snapshot is complete. */
  readonly #fetchedByKey = new Map<IndexKey, TrieElement>();
  /** Lengths of the known prefixes, the longest first. */
  readonly #lengths: number[] = [];
  readonly #lookedUp = new Map<IndexKey, Uint8Array>();
  /** The keys of updates, because the bits after the prefix are stored, too. */
  readonly #keysAsGiven = new Map<TrackedElement, Uint8Array>();
  #hasTrackedFetched = false;

  get #maxPrefixLength(): number {
    return 8 * (this.view.key_size - 4);
  }

  #prefix(bytes: Buffer, at: number, length: number): IndexKey {
    const whole = length >>> 3;
    const from = at + 4;
    const head = `${length}:${bytes.toString("latin1", from, from + whole)}`;
    const rest = length % 8;
    if (rest === 0) return head;
    return head + String.fromCharCode((bytes[from + whole] as number) & (0xff00 >>> rest) & 0xff);
  }

  protected override indexKeyAt(bytes: Buffer, at: number): IndexKey {
    return this.#prefix(bytes, at, bytes.readUInt32LE(at));
  }

  #addLength(length: number): void {
    if (this.#lengths.includes(length)) return;
    this.#lengths.push(length);
    this.#lengths.sort((a, b) => b - a);
  }

  /** Indexes the prefix found, and the looked up key as absent when that is another prefix. */
  protected override index(index: Map<IndexKey, Fetched>, element: TrieElement): void {
    const { key, value, matched } = element;
    const indexKey = this.indexKeyAt(toBuffer(key), 0);
    this.#fetchedByKey.set(indexKey, element);
    if (!index.has(indexKey)) index.set(indexKey, { key, value: null });
    if (value === null) return;
    const found = toBuffer(matched ?? key);
    this.#addLength(found.readUInt32LE(0));
    index.set(this.indexKeyAt(found, 0), { key: found, value });
  }

  /** Tracks every fetched element, so that a lookup finds it. */
  #trackFetched(): void {
    if (this.#hasTrackedFetched) return;
    this.#hasTrackedFetched = true;
    for (const [k, { key }] of this.fetched) if (!this.elements.has(k)) this.track(k, () => key);
  }

  #longestMatch(bytes: Buffer, at: number, matches: (element: TrackedElement) => boolean) {
    const prefixLength = bytes.readUInt32LE(at);
    for (const length of this.#lengths) {
      if (length > prefixLength) continue;
      const element = this.elements.get(this.#prefix(bytes, at, length));
      if (element !== undefined && matches(element)) return element;
    }
    return undefined;
  }

  override lookup(key: number): number {
    const { bytes } = this.arena;
    if (bytes.readUInt32LE(key) > this.#maxPrefixLength) return 0;
    this.#trackFetched();
    this.#requireFetched(this.indexKeyAt(bytes, key), key);
    const element = this.#longestMatch(bytes, key, ({ isPresent }) => isPresent === true);
    return element === undefined ? 0 : this.locateValue(element, READ_VALUE);
  }

  /** The commit compares which prefix a lookup finds, and so its value, too. */
  override lookupToAdd(key: number): number {
    return this.lookup(key);
  }

  /** @throws MissingData when the snapshot does not contain a lookup of this key. */
  #requireFetched(k: IndexKey, key: number): void {
    const { id, key_size, isComplete } = this.view;
    if (!this.#lookedUp.has(k)) {
      this.#lookedUp.set(k, this.arena.copy(key, key_size));
      this.run.charge(key_size);
    }
    if (isComplete) return;
    const fetched = this.#fetchedByKey.get(k);
    if (fetched === undefined)
      throw new MissingData({ map: id, key: this.arena.copy(key, key_size) });
    if (fetched.value === null) return;
    const found = this.elements.get(this.indexKeyAt(toBuffer(fetched.matched ?? fetched.key), 0));
    if (!found?.isPresent) throw new MissingData({ map: id, whole: true });
  }

  override update(key: number, value: number, flags: number): number {
    if (flags > BPF_EXIST || this.arena.bytes.readUInt32LE(key) > this.#maxPrefixLength)
      return -ERRNO.EINVAL;
    const errno = super.update(key, value, flags);
    if (errno === 0)
      this.#keysAsGiven.set(this.elementAt(key), this.arena.copy(key, this.view.key_size));
    return errno === -ERRNO.E2BIG ? -ERRNO.ENOSPC : errno;
  }

  protected override store(element: TrackedElement, value: number): void {
    this.#addLength(toBuffer(element.key).readUInt32LE(0));
    super.store(element, value, false);
  }

  protected override storedKey(element: TrackedElement): Uint8Array {
    return this.#keysAsGiven.get(element) ?? element.key;
  }

  override delete(key: number): number {
    if (this.arena.bytes.readUInt32LE(key) > this.#maxPrefixLength) return -ERRNO.EINVAL;
    return super.delete(key);
  }

  override visitElements(): number {
    return -ERRNO.EOPNOTSUPP;
  }

  /** Adds the read of the prefix itself. */
  protected override addReads(element: TrackedElement, { reads }: Effects): void {
    const { key, fetched, accessed } = element;
    if ((accessed & READ_PRESENCE) === 0) return;
    reads.push({ map: this.view.id, key, present: fetched !== null });
  }

  override collectEffects(effects: Effects): void {
    super.collectEffects(effects);
    const map = this.view.id;
    for (const key of this.#lookedUp.values()) {
      const longest = this.#longestMatch(toBuffer(key), 0, ({ fetched }) => fetched != null);
      const value = longest?.fetched ?? null;
      effects.reads.push(longest ? { map, key, value, matched: longest.key } : { map, key, value });
    }
  }
}
