import type { Caller } from "../token.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Argument, RedisValue } from "./redis_value.ts";

/** The types of a call, which every file of domain/commands shares. */

export interface Call extends Caller, Idempotency {
  /** True when a command that mostly reads writes this time. */
  writes?: boolean;
  /** Its request has changed something before, so it is not refused before it is sent. */
  isBegun?: boolean;
  /** Its signal aborts when the client disconnects; the call then leaves the queue that it waits in. */
  getSignal?(): AbortSignal;
}

/** Runs a command of domain/lua; rejects with an Errno or another failure of errno.ts. */
export type RunCommand = (
  call: Call,
  command: string,
  ...args: Argument[]
) => Promise<RedisValue[]>;

/**
 * Runs the first of two commands, of which the second writes the record. When `remembered` is true,
 * the values are the first answer of the second command.
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
