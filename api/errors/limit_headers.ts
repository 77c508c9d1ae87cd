import { LimitReached, NoPlace, RecordsFull } from "../../domain/errno.ts";

/** The header fields of a request that a limit refused (draft-ietf-httpapi-ratelimit-headers-10). */

/** A place may become free at any moment. */
const RETRY_S = 1;
/** Answers to requests with an Idempotency-Key go by the hour. */
const RECORDS_RETRY_S = 3600;

/** The policy is the most that a namespace can have; only a limit of the namespace has a policy. */
export function limitHeaders(error: Error): Record<string, string> {
  if (error instanceof RecordsFull) return { "retry-after": String(RECORDS_RETRY_S) };
  if (!(error instanceof LimitReached || error instanceof NoPlace)) return {};
  const { limit, places, isOfNamespace } = error;
  const retry = { "retry-after": String(RETRY_S) };
  if (!isOfNamespace) return retry;
  return {
    ...retry,
    "ratelimit-policy": `"${limit}";q=${places};qu="concurrent-requests"`,
    ratelimit: `"${limit}";r=0;t=${RETRY_S}`,
  };
}
