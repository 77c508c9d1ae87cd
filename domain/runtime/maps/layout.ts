import { elementStride } from "../../compiler/abi.ts";
import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } from "../../isa/uapi.ts";
import { type Arena, type ArenaAccess, round8 } from "../arena.ts";
import type { MapView, WriteSetEntry } from "../job.ts";

/**
 * The layout of map values in memory: one part, or one part for each CPU, each followed by a gap.
 */

/** Size of the numbers that a run adds without reading the value; 0 for several sizes. */
export type AddSize = 0 | 4 | 8;

export class Layout {
  readonly parts: number;
  readonly size: number;
  /** Distance between parts in memory, and in a fetched value. */
  readonly stride: number;
  readonly fetchedStride: number;
  readonly access: ArenaAccess;
  readonly #arena: Arena;

  constructor(arena: Arena, view: MapView) {
    this.#arena = arena;
    this.parts = view.cpus ?? 1;
    this.size = view.value_size;
    this.stride = elementStride(view);
    this.fetchedStride = view.cpus === undefined ? view.value_size : round8(view.value_size);
    this.access = {
      read: (view.map_flags & BPF_F_WRONLY_PROG) === 0,
      write: (view.map_flags & BPF_F_RDONLY_PROG) === 0,
    };
  }

  /** Size of a value in memory. */
  get extent(): number {
    return this.parts * this.stride;
  }

  /** Size of a fetched value. */
  get length(): number {
    return this.parts * this.fetchedStride;
  }

  /** Puts a value, or zeros, at a new address. */
  place(value?: Uint8Array): number {
    const at = this.#arena.reserve(this.extent);
    this.fill(at, value);
    return at;
  }

  fill(at: number, value?: Uint8Array): void {
    for (let part = 0; part < this.parts; part++) {
      const from = part * this.fetchedStride;
      this.#arena.setAccess(at + part * this.stride, this.size, this.access);
      if (value !== undefined) {
        this.#arena.bytes.set(
          value.subarray(from, from + this.fetchedStride),
          at + part * this.stride,
        );
      }
    }
  }

  /** Puts many values of one part each at strides from `at` on. */
  fillAll(at: number, count: number, values: Uint8Array): void {
    const byWords = this.size % 4 === 0 && values.byteOffset % 4 === 0;
    const unit = byWords ? 4 : 1;
    const to = byWords ? this.#arena.words : this.#arena.bytes;
    const from = byWords
      ? new Uint32Array(values.buffer, values.byteOffset, (count * this.size) / 4)
      : values;
    scatter(to, at / unit, from, count, this.size / unit, this.stride / unit);
    this.#arena.setAccessAll(at, count, this.stride, this.size, this.access);
  }

  deferFree(at: number): void {
    this.#arena.deferFree(at, this.extent);
  }

  /** Reads the value in its fetched form. */
  read(at: number): Uint8Array {
    if (this.parts === 1) return this.#arena.copy(at, this.fetchedStride);
    const value = new Uint8Array(this.length);
    for (let part = 0; part < this.parts; part++) {
      value.set(
        this.#arena.copy(at + part * this.stride, this.fetchedStride),
        part * this.fetchedStride,
      );
    }
    return value;
  }

  equals(at: number, value: Uint8Array): boolean {
    for (let part = 0; part < this.parts; part++) {
      const from = part * this.fetchedStride;
      const fetched = value.subarray(from, from + this.fetchedStride);
      if (!this.#arena.equals(at + part * this.stride, fetched)) return false;
    }
    return true;
  }

  /** The additions that explain the change of the value; undefined when other bytes changed, too. */
  additions(map: number, key: Uint8Array, at: number, value: Uint8Array, size: AddSize) {
    if (size === 0) return undefined;
    const additions: WriteSetEntry[] = [];
    for (let part = 0; part < this.parts; part++) {
      const evenBytes = this.size - (this.size % size);
      for (let inPart = 0; inPart < evenBytes; inPart += size) {
        const offset = part * this.fetchedStride + inPart;
        const address = at + part * this.stride + inPart;
        const delta = subtract(this.#arena.bytes, address, value, offset, size);
        if (delta !== 0n) additions.push({ op: "add", map, key, offset, size, delta });
      }
      const tail = value.subarray(
        part * this.fetchedStride + evenBytes,
        part * this.fetchedStride + this.size,
      );
      if (!this.#arena.equals(at + part * this.stride + evenBytes, tail)) return undefined;
    }
    return additions;
  }
}

/** Copies contiguous items of `size` to addresses `stride` apart. */
function scatter(
  to: Uint32Array | Uint8Array,
  at: number,
  from: Uint32Array | Uint8Array,
  ...[count, size, stride]: [count: number, size: number, stride: number]
): void {
  for (let i = 0, start = at, next = 0; i < count; i++, start += stride) {
    for (let address = start; address < start + size; address++)
      to[address] = from[next++] as number;
  }
}

function subtract(current: Buffer, at: number, fetched: Uint8Array, offset: number, size: 4 | 8) {
  const old = new DataView(fetched.buffer, fetched.byteOffset + offset, size);
  if (size === 4) return BigInt((current.readUInt32LE(at) - old.getUint32(0, true)) >>> 0);
  return BigInt.asUintN(64, current.readBigUInt64LE(at) - old.getBigUint64(0, true));
}
