/** Views of bytes; nothing is copied. */

/** The same memory as a Buffer, whose methods read numbers and text. */
export function toBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
