/** Views of bytes, and copies where threads share them. */

/** The same memory as a Buffer, whose methods read numbers and text. */
export function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Puts parts together in memory that threads share, so that no message copies them again. */
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
