import { type RegisterValue, UNKNOWN } from "../state/value.ts";

/** Fields of the structs that programs see of the kernel: where they are, and how wide accesses may be. */

/**
 * The whole field; words of 4 bytes; parts of a word, anywhere or only from its start on; any aligned
 * width; 8 bytes; parts of a word or 8 bytes.
 */
export type LoadWidth = "whole" | "words" | "parts" | "head" | "any" | "longs" | "wide_parts";

export interface AccessibleField {
  readonly start: number;
  readonly end: number;
  readonly width: LoadWidth;
  readonly holds: RegisterValue;
  /** The attach types that have the field; left out, all have it. */
  readonly attachTypes?: readonly number[];
}

/** The fields of a context that programs of a type read and write. */
export interface ContextLayout {
  readonly reads: readonly AccessibleField[];
  readonly writes: readonly AccessibleField[];
}

export function field(
  start: number,
  size: number,
  width: LoadWidth = "parts",
  more: Partial<AccessibleField> = {},
): AccessibleField {
  return { start, end: start + size, width, holds: UNKNOWN, ...more };
}

const WORD = 4;
const WIDE = 8;

export function allows(
  { start, end, width }: AccessibleField,
  off: number,
  size: number,
  writes: boolean,
): boolean {
  if (off < start || off + size > end || off % size !== 0) return false;
  switch (width) {
    case "any":
      return true;
    case "whole":
      return size === end - start;
    case "words":
      return size === WORD;
    case "longs":
      return size === WIDE;
    case "wide_parts":
      return size === WIDE || (writes ? size === WORD : size <= WORD);
    case "head":
      return size === WORD || (size < WORD && off === start && !writes);
    case "parts":
      return writes ? size === WORD : size <= WORD;
  }
}
