import { type InterpreterWorld, Trap } from "./interpreter.ts";
import type { Region } from "./machine.ts";

/** Provides memory with accessible regions, but no helpers, maps or packet. */
export class Memory implements InterpreterWorld {
  protected readonly view: DataView;
  protected readonly base: number;
  readonly #regions: readonly Region[];

  /** @param base the address of the first byte of `bytes` */
  constructor(bytes: Uint8Array, base: number, regions: readonly Region[]) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.base = base;
    this.#regions = regions;
  }

  #place(address: bigint, size: number, write: boolean): number {
    const at = BigInt.asUintN(64, address);
    const holds = (r: Region): boolean =>
      at >= r.at && at + BigInt(size) <= r.at + r.bytes && (r.write || !write);
    if (!this.#regions.some(holds)) throw new Trap(`${size} bytes at ${at.toString(16)}`);
    return Number(at) - this.base;
  }

  read(address: bigint, size: number): bigint {
    const at = this.#place(address, size, false);
    if (size === 8) return this.view.getBigUint64(at, true);
    if (size === 4) return BigInt(this.view.getUint32(at, true));
    return BigInt(size === 2 ? this.view.getUint16(at, true) : this.view.getUint8(at));
  }

  write(address: bigint, size: number, value: bigint): void {
    const at = this.#place(address, size, true);
    const low = Number(BigInt.asUintN(32, value));
    if (size === 8) this.view.setBigUint64(at, value, true);
    else if (size === 4) this.view.setUint32(at, low, true);
    else if (size === 2) this.view.setUint16(at, low, true);
    else this.view.setUint8(at, low);
  }

  helper(number: number, _args: readonly bigint[]): bigint {
    throw new Trap(`no helper ${number}`);
  }

  tailCall(_map: bigint, _index: number): Uint8Array | undefined {
    return undefined;
  }

  map(_index: number): bigint {
    return 0n;
  }

  packet(_offset: number, _size: number): bigint {
    return -1n;
  }
}
