/** Keys of elements as keys of JavaScript's Map. */

/** Two index keys are equal when their bytes are. */
export type IndexKey = number | string;

export function readIndexKey(bytes: Buffer, at: number, size: number): IndexKey {
  if (size !== 4) return bytes.toString("latin1", at, at + size);
  // Signed, so that V8 does not allocate a number object; byte by byte, because that checks no bounds.
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  return low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
}
