// Keys as indexes of JavaScript's tables.

/** Equal for equal bytes. */
export type IndexKey = number | string;

export function indexKey(bytes: Buffer, at: number, size: number): IndexKey {
  if (size === 4) return bytes.readUInt32LE(at);
  return bytes.toString("latin1", at, at + size);
}

export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
