import { SHARED_BYTES, share } from "../bytes.ts";
import type { RedisValue } from "./redis_value.ts";

/** Decoders of what a command answers: a reply is a list of values by position. */

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

/** Adds the zeros behind a value that were never written, which Redis leaves out. @param size bytes. */
export function padWithZeros(value: Buffer, size: number): Buffer {
  if (value.length >= size) return value;
  return size > SHARED_BYTES ? share(value, size) : Buffer.concat([value], size);
}

/** Splits a flat list in which two kinds of values alternate. */
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

/** Names the values of a reply that lists these fields in their order. */
export function nameFields<Field extends string>(
  fields: readonly Field[],
  values: readonly RedisValue[],
): Record<Field, RedisValue | undefined> {
  const entries = fields.map((field, i) => [field, values[i]] as const);
  return Object.fromEntries(entries) as Record<Field, RedisValue | undefined>;
}
