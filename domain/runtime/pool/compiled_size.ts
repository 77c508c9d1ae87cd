/**
 * What a compiled program takes once it has run often: module, machine code, source map and the
 * instructions themselves, as measured.
 */

const PROGRAM_BYTES = 34_000;
/** For each byte of the instructions of a program of up to 10,000, and for each byte beyond. */
const BYTES_A_BYTE = 17;
const BYTES_A_LATE_BYTE = 64;
/** V8's optimising compiler makes more code for each instruction of a longer program. */
const LONG_BYTES = 80_000;

/** @param length bytes of the instructions. */
export function compiledSize(length: number): number {
  const late = Math.max(0, length - LONG_BYTES);
  return PROGRAM_BYTES + BYTES_A_BYTE * (length - late) + BYTES_A_LATE_BYTE * late;
}
