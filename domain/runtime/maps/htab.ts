// What hash tables share (kernel/bpf/hashtab.c). Only what the program could tell is read: an update
// that finds room for sure does not look whether the key is there.

import { ERRNO } from "../../errno.ts";
import { BPF_EXIST, BPF_NOEXIST } from "../../isa/uapi.ts";
import { MissingData } from "../fault.ts";
import type { MapView } from "../job.ts";
import { buffer, type IndexKey, indexKey } from "./index_key.ts";
import { Layout } from "./layout.ts";
import { type Effects, type RunContext, RunMap, unlocked } from "./map.ts";
import {
  ADDED,
  PRESENCE,
  readOf,
  type TrackedElement,
  trackElement,
  VALUE,
  writeOf,
} from "./tracked_element.ts";

export interface Fetched {
  key: Uint8Array;
  value: Uint8Array | null;
}

export abstract class Htab extends RunMap {
  protected readonly layout: Layout;
  /** Those that the run has come to. */
  protected readonly entries = new Map<IndexKey, TrackedElement>();
  #index: Map<IndexKey, Fetched> | undefined;
  /** Elements, those counted as new of which it is not known whether they were there. */
  #count: number;
  #refused: "full" | "unchanged" | undefined;
  #iterated = false;

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    this.layout = new Layout(this.arena, view);
    this.#count = view.entries;
  }

  /** Fetched elements by their keys. */
  protected get fetched(): Map<IndexKey, Fetched> {
    if (this.#index === undefined) {
      this.#index = new Map();
      for (const element of this.view.elements) this.insert(this.#index, element);
    }
    return this.#index;
  }

  protected insert(index: Map<IndexKey, Fetched>, element: MapView["elements"][number]): void {
    index.set(this.keyOf(buffer(element.key), 0), element);
  }

  protected keyOf(bytes: Buffer, at: number): IndexKey {
    return indexKey(bytes, at, this.view.key_size);
  }

  protected entry(key: number): TrackedElement {
    const k = this.keyOf(this.arena.bytes, key);
    return this.entries.get(k) ?? this.open(k, () => this.arena.copy(key, this.view.key_size));
  }

  protected open(k: IndexKey, key: () => Uint8Array): TrackedElement {
    const found = this.fetched.get(k);
    const absent = this.view.whole ? null : undefined;
    const entry = trackElement(found?.key ?? key(), found === undefined ? absent : found.value);
    this.entries.set(k, entry);
    this.run.charge(entry.key.length);
    return entry;
  }

  /** @throws Missing when it is not known whether the element is there. */
  protected known(entry: TrackedElement): boolean {
    if (entry.present === undefined) throw new MissingData({ map: this.view.id, key: entry.key });
    return entry.present;
  }

  /** Looks at the element in this way: whether it is there. */
  protected look(entry: TrackedElement, how: number): boolean {
    const present = this.known(entry);
    if (!entry.replaced) entry.looks |= how;
    return present;
  }

  /** Looks at the element in this way: where its value is, 0 when it is not there. */
  protected find(entry: TrackedElement, how: number): number {
    if (!this.look(entry, how)) return 0;
    if (entry.at === 0) entry.at = this.layout.place(entry.fetched as Uint8Array);
    return entry.at;
  }

  /** Of the part of a value that this CPU has. */
  protected here(at: number): number {
    return at === 0 || this.layout.parts === 1 ? at : at + this.run.cpu * this.layout.stride;
  }

  /** An element was looked up. */
  protected used(_entry: TrackedElement): void {}

  override lookup(key: number): number {
    const entry = this.entry(key);
    const at = this.find(entry, VALUE);
    if (at !== 0) this.used(entry);
    return this.here(at);
  }

  override lookupToAdd(key: number): number {
    const entry = this.entry(key);
    const at = this.find(entry, ADDED);
    if (at !== 0) this.used(entry);
    return this.here(at);
  }

  /** An update with BPF_ANY does the same whether or not the key is there. */
  protected blind(): boolean {
    return this.#count < this.view.max_entries;
  }

  /** The errno of a full map; 0 when a new element fits. */
  protected full(): number {
    if (this.#count < this.view.max_entries) return 0;
    const unknown = [...this.entries.values()].filter(
      ({ fetched, present }) => fetched === undefined && present !== undefined,
    );
    if (unknown.length > 0) {
      throw new MissingData(...unknown.map(({ key }) => ({ map: this.view.id, key })));
    }
    if (this.#refused !== "unchanged") {
      const before = this.#count === this.view.entries && !this.#changed();
      this.#refused = before ? "full" : "unchanged";
    }
    return -ERRNO.E2BIG;
  }

  #changed(): boolean {
    for (const entry of this.entries.values()) {
      if (entry.present !== (entry.fetched !== null)) return true;
    }
    return false;
  }

  override update(key: number, value: number, given: number): number {
    const [flags, locked] = unlocked(given);
    if (flags > BPF_EXIST || (locked && !this.view.locks)) return -ERRNO.EINVAL;
    const entry = this.entry(key);
    if (flags !== 0 || (entry.present === undefined && !this.blind())) this.look(entry, PRESENCE);
    if (entry.present && flags === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (entry.present === false && flags === BPF_EXIST) return -ERRNO.ENOENT;
    if (!entry.present) {
      const errno = this.full();
      if (errno !== 0) {
        this.look(entry, PRESENCE);
        return errno;
      }
      this.#count++;
    }
    this.store(entry, value, locked);
    entry.present = true;
    return 0;
  }

  /** Gives the element a value; `present` is still as it was. `inPlace`: what is there keeps its place. */
  protected abstract store(entry: TrackedElement, value: number, inPlace: boolean): void;

  override delete(key: number): number {
    const entry = this.entry(key);
    if (!this.look(entry, PRESENCE)) return -ERRNO.ENOENT;
    this.remove(entry);
    return 0;
  }

  protected remove(entry: TrackedElement): void {
    if (entry.at !== 0) this.layout.retire(entry.at);
    entry.at = 0;
    entry.present = false;
    entry.replaced = true;
    this.#count--;
  }

  override each(visit: (key: Uint8Array, value: number) => boolean): number {
    if (!this.view.whole) throw new MissingData({ map: this.view.id, whole: true });
    this.#iterated = true;
    for (const [k, { key }] of this.fetched) if (!this.entries.has(k)) this.open(k, () => key);
    let shown = 0;
    for (const entry of [...this.entries.values()]) {
      if (!entry.present) continue;
      shown++;
      if (visit(entry.key, this.here(this.find(entry, VALUE)))) break;
    }
    return shown;
  }

  override finish(effects: Effects): void {
    const map = this.view.id;
    for (const entry of this.entries.values()) writeOf(map, entry, this.layout, effects);
    if (this.#iterated) effects.reads.push({ map, unchanged: true });
    else {
      if (this.#refused === "full") effects.reads.push({ map, full: true });
      if (this.#refused === "unchanged") effects.reads.push({ map, unchanged: true });
      for (const entry of this.entries.values()) this.reads(entry, effects);
    }
    this.changes(effects);
  }

  protected reads(entry: TrackedElement, effects: Effects): void {
    readOf(this.view.id, entry, effects);
  }

  /** Elements made, replaced and deleted; these first, for they make room. */
  protected changes({ ops }: Effects): void {
    const map = this.view.id;
    const replaced = [...this.entries.values()].filter((entry) => entry.replaced);
    for (const { key, present, fetched } of replaced) {
      if (!present && fetched !== null) ops.push({ op: "delete", map, key });
    }
    for (const entry of replaced.filter(({ present }) => present)) {
      const [key, value] = [this.stored(entry), this.layout.read(entry.at)];
      ops.push({ op: "update", map, key, value, flags: 0 });
    }
  }

  /** The key that an element is kept under. */
  protected stored({ key }: TrackedElement): Uint8Array {
    return key;
  }
}
