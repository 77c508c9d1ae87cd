import { createHash } from "node:crypto";
import { hashInSlices } from "../bytes.ts";
import { Errno, type ErrnoName, type ErrnoOptions } from "../errno.ts";

/**
 * Names idempotency records, fingerprints requests, and encodes answers that are made outside of Redis.
 * lua/base/idempotency.lua keeps the first answer of a request for a day and replays it.
 */

export interface Idempotency {
  /** The name under which a repeat finds the first answer; nothing is kept when it is empty. */
  record: string;
  /** Distinguishes a repeat from another request with the same key. */
  fingerprint: string;
}

export const UNRECORDED: Idempotency = { record: "", fingerprint: "" };

export const isRecorded = ({ record }: Idempotency): boolean => record !== "";

/** Copies a call for a step that keeps no record of its own. */
export const unrecorded = <T extends Idempotency>(call: T): T => ({ ...call, ...UNRECORDED });

/**
 * Copies a call for one step of a request. Each step has a record of its own, so that a repeat continues
 * where the request stopped; no Idempotency-Key can contain the space in the record's name.
 */
export function stepOf<T extends Idempotency>(call: T, step: number): T {
  return isRecorded(call) ? { ...call, record: `${call.record} ${step}` } : call;
}

/** @param owner makes the name unique, because two callers may choose the same key. */
export function recordName(owner: string, key: string | undefined): string {
  return key === undefined ? "" : `${owner}:${key}`;
}

/** The parts of a request that a repeat must not change. */
export interface RequestContent {
  method: string | undefined;
  url: string | undefined;
  /** The condition under which it has an effect, empty for none. */
  condition: string;
  body: Buffer | undefined;
}

/** @param key the Idempotency-Key of the request, if it has one. */
export async function idempotencyOf(
  owner: string,
  key: string | undefined,
  { method, url, condition, body = Buffer.alloc(0) }: RequestContent,
): Promise<Idempotency> {
  if (key === undefined) return UNRECORDED;
  // A URL has neither a space nor a newline, so no condition can pass for another part.
  const head = condition === "" ? `${method} ${url}` : `${method} ${url} ${condition}`;
  const hash = createHash("sha256").update(`${head}\n`);
  await hashInSlices(hash, body);
  return { record: recordName(owner, key), fingerprint: hash.digest("base64url") };
}

/**
 * An Errno as data. Records of older versions have `pointer`, as /body/FIELD, where this one has `field`,
 * and `told` where it has `extensions`.
 */
interface KeptFailure {
  errno: ErrnoName;
  detail: string;
  more: ErrnoOptions & { pointer?: string; told?: Record<string, unknown> };
}

/** An answer that is made outside of Redis, in the form that its record keeps. */
export type KeptAnswer<T extends object> = T | KeptFailure;

export function keepFailure({ code, message, field, extensions }: Errno): KeptFailure {
  const more = { ...(field && { field }), ...(extensions && { extensions }) };
  return { errno: code, detail: message, more };
}

/** @throws the Errno that was kept. */
export function fromKept<T extends object>(answer: KeptAnswer<T>): T {
  if (!("errno" in answer)) return answer;
  const { pointer, told, ...more } = answer.more;
  const older = {
    ...(pointer && { field: pointer.split("/").slice(2) }),
    ...(told && { extensions: told }),
  };
  throw new Errno(answer.errno, answer.detail, { ...older, ...more });
}
