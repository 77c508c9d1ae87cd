import { toBuffer } from "../../bytes.ts";
import { ERRNO } from "../../errno.ts";
import { BPF_EXIST, BPF_NOEXIST } from "../../isa/uapi.ts";
import { MissingData } from "../fault.ts";
import type { MapView } from "../job.ts";
import { type IndexKey, readIndexKey } from "./index_key.ts";
import { Layout } from "./layout.ts";
import { type Effects, type RunContext, RunMap, splitLockFlag } from "./map.ts";
import {
  ADDED_TO,
  addReadOf,
  addWriteOf,
  READ_PRESENCE,
  READ_VALUE,
  type TrackedElement,
  trackElement,
} from "./tracked_element.ts";

/**
 * The base class of hash tables (kernel/bpf/hashtab.c). The read set contains only what the
 * program could observe: an update that certainly fits does not read whether the key exists.
 */

export interface Fetched {
  key: Uint8Array;
  value: Uint8Array | null;
}

export abstract class Htab extends RunMap {
  protected readonly layout: Layout;
  /** The elements that the run has accessed. */
  protected readonly elements = new Map<IndexKey, TrackedElement>();
  #fetchedIndex: Map<IndexKey, Fetched> | undefined;
  /** Elements now; an element whose presence is unknown counts as new. */
  #count: number;
  #fullRefusal: "full" | "unchanged" | undefined;
  #wasIterated = false;

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    this.layout = new Layout(this.arena, view);
    this.#count = view.entries;
  }

  /** Fetched elements by their keys. */
  protected get fetched(): Map<IndexKey, Fetched> {
    if (this.#fetchedIndex === undefined) {
      this.#fetchedIndex = new Map();
      for (const element of this.view.elements) this.index(this.#fetchedIndex, element);
    }
    return this.#fetchedIndex;
  }

  protected index(index: Map<IndexKey, Fetched>, element: MapView["elements"][number]): void {
    index.set(this.indexKeyAt(toBuffer(element.key), 0), element);
  }

  protected indexKeyAt(bytes: Buffer, at: number): IndexKey {
    return readIndexKey(bytes, at, this.view.key_size);
  }

  protected elementAt(key: number): TrackedElement {
    const k = this.indexKeyAt(this.arena.bytes, key);
    return this.elements.get(k) ?? this.track(k, () => this.arena.copy(key, this.view.key_size));
  }

  protected track(k: IndexKey, key: () => Uint8Array): TrackedElement {
    const found = this.fetched.get(k);
    const absent = this.view.isComplete ? null : undefined;
    const element = trackElement(found?.key ?? key(), found === undefined ? absent : found.value);
    this.elements.set(k, element);
    this.run.charge(element.key.length);
    return element;
  }

  /** @throws MissingData when the snapshot does not say whether the element exists. */
  protected isPresent(element: TrackedElement): boolean {
    if (element.isPresent === undefined)
      throw new MissingData({ map: this.view.id, key: element.key });
    return element.isPresent;
  }

  /** Records the access and returns whether the element exists. */
  protected access(element: TrackedElement, access: number): boolean {
    const present = this.isPresent(element);
    if (!element.isReplaced) element.accessed |= access;
    return present;
  }

  /** Records the access and returns the address of the value, 0 when the element is absent. */
  protected locateValue(element: TrackedElement, access: number): number {
    if (!this.access(element, access)) return 0;
    if (element.at === 0) element.at = this.layout.place(element.fetched as Uint8Array);
    return element.at;
  }

  /** Returns the address of this CPU's part of a value. */
  protected cpuPart(at: number): number {
    return at === 0 || this.layout.parts === 1 ? at : at + this.run.cpu * this.layout.stride;
  }

  /** LRU maps record the lookup of an element. */
  protected markUsed(_entry: TrackedElement): void {}

  override lookup(key: number): number {
    const element = this.elementAt(key);
    const at = this.locateValue(element, READ_VALUE);
    if (at !== 0) this.markUsed(element);
    return this.cpuPart(at);
  }

  override lookupToAdd(key: number): number {
    const element = this.elementAt(key);
    const at = this.locateValue(element, ADDED_TO);
    if (at !== 0) this.markUsed(element);
    return this.cpuPart(at);
  }

  /** An update with BPF_ANY succeeds whether the key exists or not. */
  protected canUpdateUnread(): boolean {
    return this.#count < this.view.max_entries;
  }

  /** Returns 0 when a new element fits, else the errno of a full map. */
  protected checkRoom(): number {
    if (this.#count < this.view.max_entries) return 0;
    const unknown = [...this.elements.values()].filter(
      ({ fetched, isPresent }) => fetched === undefined && isPresent !== undefined,
    );
    if (unknown.length > 0) {
      throw new MissingData(...unknown.map(({ key }) => ({ map: this.view.id, key })));
    }
    if (this.#fullRefusal !== "unchanged") {
      const isUnchanged = this.#count === this.view.entries && !this.#hasPresenceChanges();
      this.#fullRefusal = isUnchanged ? "full" : "unchanged";
    }
    return -ERRNO.E2BIG;
  }

  #hasPresenceChanges(): boolean {
    for (const element of this.elements.values()) {
      if (element.isPresent !== (element.fetched !== null)) return true;
    }
    return false;
  }

  override update(key: number, value: number, flagsWithLock: number): number {
    const [flags, locked] = splitLockFlag(flagsWithLock);
    if (flags > BPF_EXIST || (locked && !this.view.locks)) return -ERRNO.EINVAL;
    const element = this.elementAt(key);
    if (flags !== 0 || (element.isPresent === undefined && !this.canUpdateUnread()))
      this.access(element, READ_PRESENCE);
    if (element.isPresent && flags === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (element.isPresent === false && flags === BPF_EXIST) return -ERRNO.ENOENT;
    if (!element.isPresent) {
      const errno = this.checkRoom();
      if (errno !== 0) {
        this.access(element, READ_PRESENCE);
        return errno;
      }
      this.#count++;
    }
    this.store(element, value, locked);
    element.isPresent = true;
    return 0;
  }

  /** Writes the value, before isPresent is set. `inPlace`: an existing value keeps its address. */
  protected abstract store(element: TrackedElement, value: number, inPlace: boolean): void;

  override delete(key: number): number {
    const element = this.elementAt(key);
    if (!this.access(element, READ_PRESENCE)) return -ERRNO.ENOENT;
    this.remove(element);
    return 0;
  }

  protected remove(element: TrackedElement): void {
    if (element.at !== 0) this.layout.deferFree(element.at);
    element.at = 0;
    element.isPresent = false;
    element.isReplaced = true;
    this.#count--;
  }

  override visitElements(visit: (key: Uint8Array, value: number) => boolean): number {
    if (!this.view.isComplete) throw new MissingData({ map: this.view.id, whole: true });
    this.#wasIterated = true;
    for (const [k, { key }] of this.fetched) if (!this.elements.has(k)) this.track(k, () => key);
    let visited = 0;
    for (const element of [...this.elements.values()]) {
      if (!element.isPresent) continue;
      visited++;
      if (visit(element.key, this.cpuPart(this.locateValue(element, READ_VALUE)))) break;
    }
    return visited;
  }

  override collectEffects(effects: Effects): void {
    const map = this.view.id;
    for (const element of this.elements.values()) addWriteOf(map, element, this.layout, effects);
    if (this.#wasIterated) effects.reads.push({ map, unchanged: true });
    else {
      if (this.#fullRefusal === "full") effects.reads.push({ map, full: true });
      if (this.#fullRefusal === "unchanged") effects.reads.push({ map, unchanged: true });
      for (const element of this.elements.values()) this.addReads(element, effects);
    }
    this.addWrites(effects);
  }

  protected addReads(element: TrackedElement, effects: Effects): void {
    addReadOf(this.view.id, element, effects);
  }

  /** Adds the elements deleted, then those made and replaced: deletions make room. */
  protected addWrites({ writes }: Effects): void {
    const map = this.view.id;
    const replaced = [...this.elements.values()].filter((element) => element.isReplaced);
    for (const { key, isPresent, fetched } of replaced) {
      if (!isPresent && fetched !== null) writes.push({ op: "delete", map, key });
    }
    for (const element of replaced.filter(({ isPresent }) => isPresent)) {
      const [key, value] = [this.storedKey(element), this.layout.read(element.at)];
      writes.push({ op: "update", map, key, value, flags: 0 });
    }
  }

  /** The key that the map stores for the element. */
  protected storedKey({ key }: TrackedElement): Uint8Array {
    return key;
  }
}
