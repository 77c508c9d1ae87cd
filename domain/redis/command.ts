import type { Caller } from "../token.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Argument, RedisValue } from "./script.ts";

/** How the commands of every noun are called: by whom, by which function, with which arguments. */

export interface Call extends Caller, Idempotency {
  /** The command, which mostly reads, writes this time. */
  writes?: boolean;
}

/** Runs a command of domain/lua; rejects with an Errno or another failure of errno.ts. */
export type RunCommand = (
  call: Call,
  command: string,
  ...args: Argument[]
) => Promise<RedisValue[]>;

/**
 * Runs the first of two commands, of which the second writes the record. `remembered`: the values are the
 * first answer of that one.
 */
export type RunFirstHalf = (
  call: Call,
  command: string,
  ...args: Argument[]
) => Promise<{ values: RedisValue[]; remembered: boolean }>;

/** An argument that may be left out: Lua reads "" as absent. */
export function optional(value: number | undefined): number | string {
  return value === undefined ? "" : value;
}

/** A set as Lua searches it, with a comma on both sides of each word: ",a,b,". */
export function joinSet(values: readonly (string | number)[]): string {
  return `,${values.map((value) => `${value},`).join("")}`;
}
