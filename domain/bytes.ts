import type { Hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

/** Views of bytes, copies where threads share them, and hashes of long ones. */

/** The same memory as a Buffer, whose methods read numbers and text. */
export function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** A message copies shorter bytes in less time than it takes to share them. */
export const SHARED_BYTES = 16 * 1024;

const isShared = ({ buffer }: Buffer): boolean => buffer instanceof SharedArrayBuffer;

/**
 * Puts bytes into memory that threads share, so that no message copies them again.
 *
 * @param size of the result, whose rest is zero.
 */
export function share(bytes: Buffer, size = bytes.length): Buffer {
  if (isShared(bytes) && bytes.length === size) return bytes;
  const shared = Buffer.from(new SharedArrayBuffer(size));
  shared.set(bytes);
  return shared;
}

/** Puts parts together in such memory. */
export function joinShared(parts: readonly Uint8Array[]): Buffer {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const joined = Buffer.from(new SharedArrayBuffer(size));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Bytes that are hashed at once, in less than a ms. */
const HASH_SLICE = 128 * 1024;

/** Lets others have the event loop between slices. */
export async function hashInSlices(hash: Hash, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += HASH_SLICE) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + HASH_SLICE));
  }
}
