import type { Dice } from "../../support/random.ts";
import type { Piece } from "./piece.ts";

/** Describes where a piece stands and how pieces are made. */

/**
 * The arguments of a function: numbers, a pointer, or those that a helper passes to its callback.
 */
export type Callee = "plain" | "given" | "loop" | "each";

/** The context of a piece, which decides what the piece may do. */
export interface InsnPlace {
  type: string;
  callees: readonly { function: number; kind: Callee }[];
  /** The caller passed a pointer. */
  hasGiven: boolean;
  described: boolean;
  /** The piece is in the main function. */
  main: boolean;
  may(helper: number): boolean;
}

/** Makes a piece, or returns undefined where it is not allowed. */
export type Maker = (dice: Dice, place: InsnPlace) => Piece | undefined;
