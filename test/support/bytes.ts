/** Encodes bytes for all tests, little-endian as BPF maps store numbers. */

/** Decodes hex text, which may contain spaces. */
export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function u32(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [i, number] of numbers.entries()) bytes.writeUInt32LE(number >>> 0, 4 * i);
  return bytes;
}

export function u64(...numbers: bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * numbers.length);
  for (const [i, number] of numbers.entries())
    bytes.writeBigInt64LE(BigInt.asIntN(64, number), 8 * i);
  return bytes;
}

/** Formats a __u32 as the API shows it in a map without a schema. */
export const u32Hex = (number: number): string => toHex(u32(number));
