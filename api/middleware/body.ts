import type { IncomingMessage } from "node:http";
import express, { type Request, type RequestHandler } from "express";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { JSON_TYPE, OCTETS } from "../media_types.ts";

/** Reads bodies: JSON or octets, never compressed, as large as the operation needs. */

const MIB = 1024 * 1024;
const LIMIT = MIB;
/**
 * These take, in hex, a million instructions, the BTF of a program, an object file, a value of 4 MiB and a
 * batch of thousands of elements.
 */
const LIMITS = new Map([
  ["/v1/progs", 17 * MIB],
  ["/v1/maps", 2 * MIB],
  ["/v1/elf", 2 * MIB],
  ["/v1/fds/{fd}/elements/{key}", 9 * MIB],
  ["/v1/fds/{fd}/push", 9 * MIB],
  ["/v1/fds/{fd}/records", 9 * MIB],
  ["/v1/fds/{fd}/batch", 17 * MIB],
]);

/** A request with its raw body, which only the fingerprint of an Idempotency-Key needs. */
export interface RawRequest extends IncomingMessage {
  raw?: Buffer;
  /** The body, if the fast path read it before it passed the request to the general path. */
  octets?: Buffer;
}

function keepRaw(req: IncomingMessage, _res: unknown, raw: Buffer): void {
  if (req.headers["idempotency-key"] !== undefined) (req as RawRequest).raw = raw;
}

function parsers(limit: number) {
  const options = { limit, inflate: false, strict: false, verify: keepRaw };
  return [
    express.json({ ...options, type: JSON_TYPE }),
    express.raw({ ...options, type: OCTETS }),
  ] as const;
}

const usual = parsers(LIMIT);
const special = new Map([...LIMITS].map(([route, limit]) => [route, parsers(limit)]));

interface MatchedRequest extends Request {
  octets?: Buffer;
  openapi?: { openApiRoute: string };
}

export const hasOctets = ({ headers }: IncomingMessage) => headers["content-type"] === OCTETS;

/** Calls back with the whole body; never for a client that disconnects before its end. */
export function readBody(req: RawRequest, done: (octets: Buffer) => void): void {
  let octets: Buffer | undefined;
  req.on("data", (chunk: Buffer) => {
    octets = octets === undefined ? chunk : Buffer.concat([octets, chunk]);
  });
  req.on("end", () => {
    req.octets = octets ?? Buffer.alloc(0);
    done(req.octets);
  });
}

/** Parses as body-parser does. @throws EINVAL */
export function parseJson(octets: Buffer): unknown {
  const text = octets.toString();
  try {
    return JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch (error) {
    throw new InvalidRequest("/body", `is not valid JSON: ${(error as Error).message}`);
  }
}

export const body: RequestHandler = (req: MatchedRequest, res, next) => {
  if (req.octets !== undefined) {
    req.body = hasOctets(req) ? req.octets : parseJson(req.octets);
    return next();
  }
  const [json, raw] = special.get(req.openapi?.openApiRoute ?? "") ?? usual;
  const parse = hasOctets(req) ? raw : json;
  parse(req, res, next);
};
