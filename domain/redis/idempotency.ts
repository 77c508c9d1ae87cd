import { createHash } from "node:crypto";
import { Errno, type ErrnoName, type ErrnoOptions } from "../errno.ts";

/**
 * Idempotency of requests: Redis keeps the first answer to a request that has a record, for a day, and
 * answers a repeat from it (lua/base/idempotency.lua). Here are the names of records, the fingerprints
 * of requests, and the form of an answer that is made outside of Redis.
 */

export interface Idempotency {
  /** Under this name a repeat finds the first answer; empty: nothing is kept. */
  record: string;
  /** Tells a repeat from another request that uses the same key. */
  fingerprint: string;
}

export const UNRECORDED: Idempotency = { record: "", fingerprint: "" };

export const isRecorded = ({ record }: Idempotency): boolean => record !== "";

/** The same caller, for a step of a request that has no record of its own. */
export const unrecorded = <T extends Idempotency>(call: T): T => ({ ...call, ...UNRECORDED });

/**
 * The same caller, for one step of a request: each step has a record of its own, whose name no
 * Idempotency-Key can have, so that a repeat goes on where the request stopped.
 */
export function stepOf<T extends Idempotency>(call: T, step: number): T {
  return isRecorded(call) ? { ...call, record: `${call.record} ${step}` } : call;
}

/** @param owner whose key it is: two callers may choose the same one. */
export function recordName(owner: string, key: string | undefined): string {
  return key === undefined ? "" : `${owner}:${key}`;
}

/** What a repeat has in common with the first request. */
export interface RequestContent {
  method: string | undefined;
  url: string | undefined;
  body: Buffer | undefined;
}

/** @param key the Idempotency-Key of the request, if it has one. */
export function idempotencyOf(
  owner: string,
  key: string | undefined,
  { method, url, body }: RequestContent,
): Idempotency {
  if (key === undefined) return UNRECORDED;
  const hash = createHash("sha256").update(`${method} ${url}\n`);
  const fingerprint = hash.update(body ?? "").digest("base64url");
  return { record: recordName(owner, key), fingerprint };
}

/** An Errno as data. Records of older versions have `pointer`, as /body/FIELD, where this one has `field`. */
interface KeptFailure {
  errno: ErrnoName;
  detail: string;
  more: ErrnoOptions & { pointer?: string };
}

/** An answer that is made outside of Redis, as its record keeps it. */
export type KeptAnswer<T extends object> = T | KeptFailure;

export function keepFailure({ code, message, field, extensions }: Errno): KeptFailure {
  const more = { ...(field && { field }), ...(extensions && { extensions }) };
  return { errno: code, detail: message, more };
}

/** @throws the Errno that was kept. */
export function fromKept<T extends object>(answer: KeptAnswer<T>): T {
  if (!("errno" in answer)) return answer;
  const { pointer, ...more } = answer.more;
  const field = pointer?.split("/").slice(2);
  throw new Errno(answer.errno, answer.detail, { ...(field && { field }), ...more });
}
