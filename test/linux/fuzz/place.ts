import type { Dice } from "../../support/random.ts";
import type { Piece } from "./piece.ts";

/** How pieces are made. */

/** What a function takes: numbers, a pointer, or what a helper calls back with. */
export type Callee = "plain" | "given" | "loop" | "each";

/** What pieces may know of where they are. */
export interface InsnPlace {
  type: string;
  /** Functions that may be called. */
  callees: readonly { function: number; kind: Callee }[];
  /** The caller has given a pointer. */
  hasGiven: boolean;
  /** BTF describes the functions. */
  described: boolean;
  /** Not in a function that is called. */
  main: boolean;
  /** The helper may be called here. */
  may(helper: number): boolean;
}

/** undefined where there is no such piece. */
export type Maker = (dice: Dice, place: InsnPlace) => Piece | undefined;
