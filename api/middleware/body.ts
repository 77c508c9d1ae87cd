import type { IncomingMessage } from "node:http";
import express, { type Request, type RequestHandler } from "express";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { JSON_TYPE, OCTETS } from "../media_types.ts";
import { contentCoding, unpack } from "./content_coding.ts";
import { checkUtf8 } from "./unicode.ts";

/** Reads bodies: JSON or octets, unpacked, as large as the operation needs. */

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
  ["/v1/elf/bytes", 2 * MIB],
  ["/v1/fds/{fd}/elements/{key}", 9 * MIB],
  ["/v1/fds/{fd}/elements/{key}/bytes", 9 * MIB],
  ["/v1/fds/{fd}/push", 9 * MIB],
  ["/v1/fds/{fd}/records", 9 * MIB],
  ["/v1/fds/{fd}/records/bytes", 9 * MIB],
  ["/v1/fds/{fd}/batch", 17 * MIB],
  ["/v1/fds/{fd}/batch/write-bytes", 17 * MIB],
]);

export interface RawRequest extends IncomingMessage {
  /** The body as it was sent; for an Idempotency-Key its fingerprint. */
  octets?: Buffer;
}

function parser(limit: number) {
  return { limit, readOctets: express.raw({ limit, inflate: false, type: [JSON_TYPE, OCTETS] }) };
}

const usual = parser(LIMIT);
const special = new Map([...LIMITS].map(([route, limit]) => [route, parser(limit)]));

interface MatchedRequest extends Request, Pick<RawRequest, "octets"> {
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

/** Of two properties with one name, the last counts. @throws EINVAL */
export function parseJson(octets: Buffer): unknown {
  checkUtf8(octets);
  const text = octets.toString();
  try {
    return JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch (error) {
    throw new InvalidRequest("/body", `is not valid JSON: ${(error as Error).message}`);
  }
}

/** The limit holds for the body as it was sent and for what it unpacks to. */
const read: RequestHandler = (req: MatchedRequest, res, next) => {
  if (req.octets !== undefined) return next();
  const { limit, readOctets } = special.get(req.openapi?.openApiRoute ?? "") ?? usual;
  const coding = contentCoding(req);
  if (coding === undefined) return readOctets(req, res, next);
  delete req.headers["content-encoding"];
  readOctets(req, res, (error?: unknown) => {
    if (error || !Buffer.isBuffer(req.body)) return next(error);
    unpack(req.body, coding, limit).then((octets) => {
      req.body = octets;
      next();
    }, next);
  });
};

/** An empty text is an empty object. */
const parse: RequestHandler = (req: MatchedRequest, _res, next) => {
  if (Buffer.isBuffer(req.body)) req.octets = req.body;
  const { octets } = req;
  if (octets === undefined) return next();
  if (hasOctets(req)) req.body = octets;
  else req.body = octets.length === 0 ? {} : parseJson(octets);
  next();
};

export const body: RequestHandler[] = [read, parse];
