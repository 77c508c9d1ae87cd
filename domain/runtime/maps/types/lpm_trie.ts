// BPF_MAP_TYPE_LPM_TRIE (kernel/bpf/lpm_trie.c). An element is known by its prefix, the bits behind it
// left out. What a lookup finds is the longest prefix among those that are known; of a key that was
// fetched for, no longer one was there.

import { ERRNO } from "../../../errno.ts";
import { BPF_EXIST } from "../../../isa/uapi.ts";
import { MissingData } from "../../fault.ts";
import type { MapView } from "../../job.ts";
import type { Fetched } from "../htab.ts";
import { buffer, type IndexKey } from "../index_key.ts";
import type { Effects } from "../map.ts";
import { PRESENCE, type TrackedElement, VALUE } from "../tracked_element.ts";
import { Hash } from "./hash.ts";

type TrieElement = MapView["elements"][number];

export class LpmTrie extends Hash {
  /** What each fetched key led to, unless all elements are here. */
  readonly #led = new Map<IndexKey, TrieElement>();
  /** Of the prefixes that are known, the longest first. */
  readonly #lengths: number[] = [];
  readonly #asked = new Map<IndexKey, Uint8Array>();
  /** What is behind the prefix comes with the value: the keys that elements were given. */
  readonly #given = new Map<TrackedElement, Uint8Array>();
  #prepared = false;

  get #longest(): number {
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

  protected override keyOf(bytes: Buffer, at: number): IndexKey {
    return this.#prefix(bytes, at, bytes.readUInt32LE(at));
  }

  #note(length: number): void {
    if (this.#lengths.includes(length)) return;
    this.#lengths.push(length);
    this.#lengths.sort((a, b) => b - a);
  }

  /** The element that a key led to, and that there is none of the key itself when it is another. */
  protected override insert(index: Map<IndexKey, Fetched>, element: TrieElement): void {
    const { key, value, matched } = element;
    const asked = this.keyOf(buffer(key), 0);
    this.#led.set(asked, element);
    if (!index.has(asked)) index.set(asked, { key, value: null });
    if (value === null) return;
    const found = buffer(matched ?? key);
    this.#note(found.readUInt32LE(0));
    index.set(this.keyOf(found, 0), { key: found, value });
  }

  /** Every fetched element becomes an entry, so that a lookup meets it. */
  #prepare(): void {
    if (this.#prepared) return;
    this.#prepared = true;
    for (const [k, { key }] of this.fetched) if (!this.entries.has(k)) this.open(k, () => key);
  }

  #longestOf(bytes: Buffer, at: number, holds: (entry: TrackedElement) => boolean) {
    const asked = bytes.readUInt32LE(at);
    for (const length of this.#lengths) {
      if (length > asked) continue;
      const entry = this.entries.get(this.#prefix(bytes, at, length));
      if (entry !== undefined && holds(entry)) return entry;
    }
    return undefined;
  }

  override lookup(key: number): number {
    const { bytes } = this.arena;
    if (bytes.readUInt32LE(key) > this.#longest) return 0;
    this.#prepare();
    this.#resolve(this.keyOf(bytes, key), key);
    const entry = this.#longestOf(bytes, key, ({ present }) => present === true);
    return entry === undefined ? 0 : this.find(entry, VALUE);
  }

  /** Which prefix a key leads to is to be compared, so that its value may be, too. */
  override lookupToAdd(key: number): number {
    return this.lookup(key);
  }

  /** @throws Missing when what is in the trie for this key is not known. */
  #resolve(k: IndexKey, key: number): void {
    const { id, key_size, whole } = this.view;
    if (!this.#asked.has(k)) {
      this.#asked.set(k, this.arena.copy(key, key_size));
      this.run.charge(key_size);
    }
    if (whole) return;
    const led = this.#led.get(k);
    if (led === undefined) throw new MissingData({ map: id, key: this.arena.copy(key, key_size) });
    if (led.value === null) return;
    const found = this.entries.get(this.keyOf(buffer(led.matched ?? led.key), 0));
    if (!found?.present) throw new MissingData({ map: id, whole: true });
  }

  override update(key: number, value: number, flags: number): number {
    if (flags > BPF_EXIST || this.arena.bytes.readUInt32LE(key) > this.#longest)
      return -ERRNO.EINVAL;
    const errno = super.update(key, value, flags);
    if (errno === 0) this.#given.set(this.entry(key), this.arena.copy(key, this.view.key_size));
    return errno === -ERRNO.E2BIG ? -ERRNO.ENOSPC : errno;
  }

  protected override store(entry: TrackedElement, value: number): void {
    this.#note(buffer(entry.key).readUInt32LE(0));
    super.store(entry, value, false);
  }

  protected override stored(entry: TrackedElement): Uint8Array {
    return this.#given.get(entry) ?? entry.key;
  }

  override delete(key: number): number {
    if (this.arena.bytes.readUInt32LE(key) > this.#longest) return -ERRNO.EINVAL;
    return super.delete(key);
  }

  override each(): number {
    return -ERRNO.EOPNOTSUPP;
  }

  /** Of the prefix itself. */
  protected override reads(entry: TrackedElement, { reads }: Effects): void {
    const { key, fetched, looks } = entry;
    if ((looks & PRESENCE) === 0) return;
    reads.push({ map: this.view.id, key, present: fetched !== null });
  }

  override finish(effects: Effects): void {
    super.finish(effects);
    const map = this.view.id;
    for (const key of this.#asked.values()) {
      const best = this.#longestOf(buffer(key), 0, ({ fetched }) => fetched != null);
      const value = best?.fetched ?? null;
      effects.reads.push(best ? { map, key, value, matched: best.key } : { map, key, value });
    }
  }
}
