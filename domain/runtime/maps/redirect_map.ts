import { Layout } from "./layout.ts";
import { ObjectMap } from "./object_map.ts";

/**
 * The base class of maps for bpf_redirect_map() (__bpf_xdp_redirect_map() in
 * include/linux/filter.h).
 */

/** The bits of the flags that are the result on a miss. */
const ACTION_MASK = 3n;
export const BPF_F_BROADCAST = 8n;
export const BPF_F_EXCLUDE_INGRESS = 16n;
const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;

export abstract class RedirectMap extends ObjectMap {
  /** Flags allowed besides the action. */
  protected abstract readonly flagMask: bigint;
  readonly #addresses = new Map<Uint8Array, number>();

  override lookup(key: number): number {
    const value = this.readSlot(this.arena.bytes.subarray(key, key + 4));
    if (value === null) return 0;
    const at = this.#addresses.get(value) ?? new Layout(this.arena, this.view).place(value);
    this.#addresses.set(value, at);
    return at;
  }

  override redirect(index: number, flags: bigint): number {
    if ((flags & ~(ACTION_MASK | this.flagMask)) !== 0n) return XDP_ABORTED;
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    const hit = this.readSlot(key) !== null || (flags & BPF_F_BROADCAST) !== 0n;
    return hit ? XDP_REDIRECT : Number(flags & ACTION_MASK);
  }
}
