/** Limits of V8 on a module (wasm-limits.h). */

export const MAX_FUNCTION_BYTES = 7_654_321;
export const MAX_BR_TABLE = 65_520;

/** The compiled program exceeds a limit of V8; the loader answers E2BIG. */
export class TooLarge extends Error {
  override readonly name = "TooLarge";
}
