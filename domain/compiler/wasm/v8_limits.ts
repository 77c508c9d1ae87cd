// What V8 takes (wasm-limits.h).

export const MAX_FUNCTION_BYTES = 7_654_321;
export const MAX_BR_TABLE = 65_520;

/** The compiled form is larger than the engine takes; to a loader E2BIG. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
}
