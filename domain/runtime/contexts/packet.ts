import { type Arena, NONE, READ_WRITE, round8 } from "../arena.ts";

/**
 * The packet bytes that a program reads and writes directly. They start at a multiple of 8, so
 * that the shadow marks exactly where they begin: a packet that grows or shrinks moves to another
 * place, and the old place is no longer accessible.
 */

interface PacketPlace {
  at: number;
  capacity: number;
}

export class Packet {
  readonly #arena: Arena;
  #current: PacketPlace = { at: 0, capacity: 0 };
  #spare: PacketPlace = { at: 0, capacity: 0 };
  size = 0;

  constructor(arena: Arena, bytes: Uint8Array) {
    this.#arena = arena;
    this.set(bytes);
  }

  get at(): number {
    return this.#current.at;
  }

  get end(): number {
    return this.#current.at + this.size;
  }

  set(bytes: Uint8Array): void {
    const [previous, next] = [this.#current, this.#spare];
    if (next.capacity < bytes.length || next.at === 0) {
      next.capacity = round8(bytes.length);
      next.at = this.#arena.reserve(next.capacity);
    }
    this.#arena.bytes.set(bytes, next.at);
    this.#arena.setAccess(next.at, bytes.length, READ_WRITE);
    if (previous.at !== 0) this.#arena.setAccess(previous.at, previous.capacity, NONE);
    [this.#current, this.#spare, this.size] = [next, previous, bytes.length];
  }

  bytes(): Uint8Array {
    return this.#arena.copy(this.at, this.size);
  }
}
