// The bytes of a packet that a program reaches directly. They start at a multiple of 8, so that the
// shadow can tell exactly where they begin: a packet that grows or shrinks moves to another place, and
// what is left behind can no longer be accessed.

import { type Arena, NONE, READ_WRITE, round8 } from "../arena.ts";

interface PacketPlace {
  at: number;
  room: number;
}

export class Packet {
  readonly #arena: Arena;
  #here: PacketPlace = { at: 0, room: 0 };
  #there: PacketPlace = { at: 0, room: 0 };
  size = 0;

  constructor(arena: Arena, bytes: Uint8Array) {
    this.#arena = arena;
    this.set(bytes);
  }

  get at(): number {
    return this.#here.at;
  }

  get end(): number {
    return this.#here.at + this.size;
  }

  set(bytes: Uint8Array): void {
    const [left, to] = [this.#here, this.#there];
    if (to.room < bytes.length || to.at === 0) {
      to.room = round8(bytes.length);
      to.at = this.#arena.reserve(to.room);
    }
    this.#arena.bytes.set(bytes, to.at);
    this.#arena.setAccess(to.at, bytes.length, READ_WRITE);
    if (left.at !== 0) this.#arena.setAccess(left.at, left.room, NONE);
    [this.#here, this.#there, this.size] = [to, left, bytes.length];
  }

  bytes(): Uint8Array {
    return this.#arena.copy(this.at, this.size);
  }
}
