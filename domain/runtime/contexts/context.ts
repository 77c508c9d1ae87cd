import type { Arena } from "../arena.ts";
import { InputRefused } from "../fault.ts";

/** The interface of a program's context (r1), and the checks that all kinds of context share. */

export interface RunInput {
  /** Address of the context. */
  readonly at: number;
  /** Length of the packet that the program sees. */
  readonly length: number;
  /** LD_ABS and LD_IND: -1 when the packet is too short. */
  loadBytes(offset: number, size: number): bigint;
  /** The packet and the context that the caller gets back. */
  outputPacket(): Uint8Array;
  outputContext(): Uint8Array;
}

export const ETH_HLEN = 14;

/** bpf_check_uarg_tail_zero(): the caller's context, padded with zeros. @throws InputRefused E2BIG */
export function padContext(ctx: Uint8Array | undefined, size: number): Buffer {
  const padded = Buffer.alloc(size);
  if (ctx === undefined) return padded;
  if (ctx.subarray(size).some((byte) => byte !== 0)) {
    throw new InputRefused("E2BIG", "ctx_in", `bytes after the first ${size} must be 0`);
  }
  padded.set(ctx.subarray(0, size));
  return padded;
}

/** @throws InputRefused EINVAL */
export function checkPacket(data: Uint8Array | undefined, maxSize: number): Uint8Array {
  const size = data?.length ?? 0;
  if (data === undefined || size < ETH_HLEN) {
    throw new InputRefused(
      "EINVAL",
      "data_in",
      `must have at least ${ETH_HLEN} bytes, an Ethernet header, got ${size}`,
    );
  }
  if (size > maxSize) {
    throw new InputRefused("EINVAL", "data_in", `must have at most ${maxSize} bytes, got ${size}`);
  }
  return data;
}

/** Writes 32-bit fields at offsets of a context. */
export function setFields(
  arena: Arena,
  at: number,
  fields: readonly (readonly [number, number])[],
) {
  for (const [offset, value] of fields) arena.view.setUint32(at + offset, value, true);
}
