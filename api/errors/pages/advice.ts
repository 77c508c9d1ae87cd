import type { ProblemName } from "../problem.ts";

/** What each problem without an errno of its own means, and what its caller can do. */

export interface Advice {
  meaning: string;
  remedy: string;
}

export interface ProblemAdvice extends Advice {
  status: number;
}

export const PROBLEM_ADVICE: Readonly<Record<ProblemName, ProblemAdvice>> = {
  unauthorized: {
    status: 401,
    meaning: "The token is missing or was never issued; for a new session, the API key.",
    remedy: "Send the token of a session as `Authorization: Bearer`, or a valid X-API-Key.",
  },
  forbidden: {
    status: 403,
    meaning: "The API key does not allow the namespace.",
    remedy: "Use a namespace that `detail` lists, or another key.",
  },
  "host-not-allowed": {
    status: 403,
    meaning: "A service without API keys answers only to its own names, and Host has another one.",
    remedy: "Use the address on which the service listens, or add the name to `ALLOWED_HOSTS`.",
  },
  "origin-not-allowed": {
    status: 403,
    meaning: "A page of another origin sent the request.",
    remedy: "Add the page's origin to `CORS_ORIGINS`.",
  },
  "session-ended": {
    status: 410,
    meaning: "The session has ended; `reason` tells how while it is known. `errno` is ESRCH.",
    remedy: "Create a new session. Renew the next one in time, or give it a longer `ttl_ms`.",
  },
  "answer-not-kept": {
    status: 422,
    meaning:
      "A request with this Idempotency-Key was carried out, once. Its answer had more than 64 KiB, so it was not kept.",
    remedy: "Read the state: this repeat has changed nothing.",
  },
  "idempotency-key-reused": {
    status: 422,
    meaning: "The Idempotency-Key was used with another request.",
    remedy: "Use a new key for each request; repeat a request with the same conditions and body.",
  },
  unavailable: {
    status: 503,
    meaning:
      "Redis is unavailable or too busy, a limit is reached, or the service is stopping. Nothing was done.",
    remedy: "Repeat the request after the time of Retry-After.",
  },
  "outcome-unknown": {
    status: 503,
    meaning: "The connection to Redis broke while the command ran, which may have taken effect.",
    remedy: "Repeat the request with the same Idempotency-Key, or read the state.",
  },
  "not-found": {
    status: 404,
    meaning: "The contract has no such path.",
    remedy: "Look for the path in the contract, at `/docs`.",
  },
  "method-not-allowed": {
    status: 405,
    meaning: "The path has no such method.",
    remedy: "Use a method that Allow lists.",
  },
  "too-large": {
    status: 413,
    meaning: "The body is larger than the operation takes.",
    remedy: "Split the request; `detail` has the limit.",
  },
  "unsupported-media-type": {
    status: 415,
    meaning: "The operation does not take this content type or content encoding.",
    remedy: "Send a content type of the operation.",
  },
  fault: {
    status: 500,
    meaning: "The service has a fault.",
    remedy: "Give the operator `request_id`, which the log has.",
  },
  "headers-too-large": {
    status: 431,
    meaning: "The headers, with the URL, are too large.",
    remedy: "Send a long key in the body of a batch.",
  },
  timeout: {
    status: 408,
    meaning: "The request did not arrive in time.",
    remedy: "Send it faster, or in parts.",
  },
  malformed: {
    status: 400,
    meaning: "The request is not valid HTTP, or a header cannot be read.",
    remedy: "Correct what `detail` names.",
  },
};
