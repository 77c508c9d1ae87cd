import type { Caller } from "../token.ts";
import type { Argument, RedisValue } from "./script.ts";

/** What the commands of every noun share: who calls, how a command is run, what comes back. */

/** Who calls, and the record under which a repeat of the request finds its first answer. */
export interface Call extends Caller {
  record: string;
  fingerprint: string;
  /** The command, which mostly reads, will write this time. */
  writes?: boolean;
}

/** The same caller, for a step of a request that has no record of its own. */
export const unrecorded = (call: Call): Call => ({ ...call, record: "", fingerprint: "" });

/** Runs a command of domain/lua; rejects with an Errno or another failure of errno.ts. */
export type RunCommand = (
  call: Call,
  command: string,
  ...args: Argument[]
) => Promise<RedisValue[]>;

/** The first of two commands; the second has the record. `remembered`: that one's first answer. */
export type RunFirstHalf = (
  call: Call,
  command: string,
  ...args: Argument[]
) => Promise<{ values: RedisValue[]; remembered: boolean }>;

export function text(value: RedisValue | undefined): string {
  return value === null || value === undefined ? "" : value.toString();
}

export function number(value: RedisValue | undefined): number {
  return typeof value === "number" ? value : Number(text(value));
}

export function list(value: RedisValue | undefined): RedisValue[] {
  return Array.isArray(value) ? value : [];
}

export function bytes(value: RedisValue | undefined): Buffer {
  return value as Buffer;
}

/** A value with the zeros that were never written, which Redis does not answer. @param size bytes. */
export function padded(value: Buffer, size: number): Buffer {
  return value.length >= size ? value : Buffer.concat([value], size);
}

/** Pairs of a reply in which two kinds of values take turns. */
export function pairs(value: RedisValue | undefined): [RedisValue, RedisValue][] {
  const flat = list(value);
  return Array.from({ length: flat.length / 2 }, (_, i) => [
    flat[2 * i] ?? null,
    flat[2 * i + 1] ?? null,
  ]);
}

export function time(value: RedisValue | undefined): string {
  return new Date(number(value)).toISOString();
}

export function octal(mode: RedisValue | string | undefined): string {
  return Number(mode ?? 0)
    .toString(8)
    .padStart(4, "0");
}

/** A reply that lists the values of these fields, by their names. */
export function record<Field extends string>(
  fields: readonly Field[],
  values: readonly RedisValue[],
): Record<Field, RedisValue | undefined> {
  const entries = fields.map((field, i) => [field, values[i]] as const);
  return Object.fromEntries(entries) as Record<Field, RedisValue | undefined>;
}

/** Where the next page starts, if there is one. */
export function next(value: RedisValue | undefined): { next?: number } {
  return value === null || value === undefined ? {} : { next: number(value) };
}

/** How arguments say what is left out. */
export function optional(value: number | undefined): number | string {
  return value === undefined ? "" : value;
}

/** A set of words that Lua finds whole: ",a,b,". */
export function commas(values: readonly (string | number)[]): string {
  return `,${values.map((value) => `${value},`).join("")}`;
}
