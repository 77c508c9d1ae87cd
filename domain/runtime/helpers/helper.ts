import type { HelperName } from "../../isa/helpers/index.ts";
import type { Arena } from "../arena.ts";
import type { Run } from "../run.ts";

/** The types of helper functions and of the machine that they work on. */

/** The machine, as far as helpers use it. */
export interface Host {
  readonly arena: Arena;
  /** The current run. */
  readonly run: Run;
}

type Helper = (...args: never[]) => unknown;
/** Addresses and sizes come as signed 32-bit numbers. */
export type Helpers = Partial<Record<HelperName, Helper>>;

/** A function of a program: its handle, r1 to r5, the frame pointer. */
export type ProgramCallback = (fn: number, ...rest: [...r: bigint[], sb: number]) => bigint;
