import type { Arena } from "../arena.ts";
import { InputRefused } from "../fault.ts";

/** The interface of a program's context (r1), and the checks that all kinds of context share. */

export interface RunInput {
  /** Its address. */
  readonly at: number;
  /** Bytes of the packet that the program sees. */
  readonly length: number;
  /** LD_ABS and LD_IND: -1 when there are no such bytes. */
  loadBytes(offset: number, size: number): bigint;
  /** The packet and the context as the caller gets them back. */
  outputPacket(): Uint8Array;
  outputContext(): Uint8Array;
}

export const ETH_HLEN = 14;

/** The caller's context, zeros behind it. bpf_check_uarg_tail_zero() @throws Refused E2BIG */
export function padContext(ctx: Uint8Array | undefined, size: number): Buffer {
  const padded = Buffer.alloc(size);
  if (ctx === undefined) return padded;
  if (ctx.subarray(size).some((byte) => byte !== 0)) {
    throw new InputRefused("E2BIG", "ctx_in", `beyond its ${size} bytes the context is not zero`);
  }
  padded.set(ctx.subarray(0, size));
  return padded;
}

/** @throws Refused EINVAL */
export function checkPacket(data: Uint8Array | undefined, maxSize: number): Uint8Array {
  const size = data?.length ?? 0;
  if (data === undefined || size < ETH_HLEN) {
    throw new InputRefused(
      "EINVAL",
      "data_in",
      `${size} bytes are no Ethernet frame: at least ${ETH_HLEN}`,
    );
  }
  if (size > maxSize) {
    throw new InputRefused("EINVAL", "data_in", `${size} bytes are too many: at most ${maxSize}`);
  }
  return data;
}

/** Writes 32-bit fields of a context, by offset. */
export function setFields(
  arena: Arena,
  at: number,
  fields: readonly (readonly [number, number])[],
) {
  for (const [offset, value] of fields) arena.view.setUint32(at + offset, value, true);
}
