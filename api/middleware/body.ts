import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, RequestHandler } from "express";
import { signalFor } from "../cancellation.ts";
import { parseJson } from "../codec/json.ts";
import { isLong, LongBody } from "../long_body/long_body.ts";
import { OCTETS } from "../media_types.ts";
import type { Route } from "../openapi/openapi.ts";
import { contentCoding, unpack } from "./content_coding.ts";
import { takesBody, untyped } from "./content_type.ts";
import { hasBody, receiveBody } from "./receive_body.ts";
import type { AuthenticatedRequest } from "./security.ts";

/** Reads bodies: JSON or octets, unpacked, as large as the operation needs. */

const MIB = 1024 * 1024;
const LIMIT = MIB;
/**
 * These take, in hex, a million instructions, the BTF of a kernel, an object file, a value of 4 MiB and a
 * batch of thousands of elements.
 */
const LIMITS = new Map([
  ["/v1/progs", 17 * MIB],
  ["/v1/maps", 2 * MIB],
  ["/v1/btfs", 9 * MIB],
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
  /** A thread has checked the body. */
  isChecked?: boolean;
}

interface MatchedRequest
  extends Omit<AuthenticatedRequest, "openapi">,
    Pick<RawRequest, "octets" | "isChecked"> {
  openapi?: { openApiRoute: string };
}

export const hasOctets = ({ headers }: IncomingMessage) => headers["content-type"] === OCTETS;

const limitOf = ({ openapi }: MatchedRequest) => LIMITS.get(openapi?.openApiRoute ?? "") ?? LIMIT;

/** The limit holds for the body as it was sent and for what it unpacks to. */
const read: RequestHandler = (req: MatchedRequest, res, next) => {
  if (req.octets !== undefined || !hasBody(req) || !takesBody(req as Request)) return next();
  if (req.headers["content-type"] === undefined) {
    // Only a chunked body has come so far without its type, because it may be empty.
    return receiveBody(req, res, 0, (error) => next(error && untyped()));
  }
  const limit = limitOf(req);
  const coding = contentCoding(req);
  delete req.headers["content-encoding"];
  receiveBody(req, res, limit, (error, received) => {
    if (error) return next(error);
    const unpacked = coding === undefined ? received : unpack(received, coding, limit);
    Promise.resolve(unpacked).then((octets) => {
      req.octets = octets;
      next();
    }, next);
  });
};

/** A thread reads a long body; callers without a session share the threads as one namespace. */
function longBody(req: MatchedRequest, res: ServerResponse, octets: Buffer): LongBody {
  const method = req.method.toLowerCase() as Route["method"];
  const owner = { namespace: req.caller?.namespace ?? "", getSignal: signalFor(res) };
  return new LongBody(owner, { octets, method, path: req.openapi?.openApiRoute ?? "" });
}

/** An empty text is an empty object. */
const parse: RequestHandler = (req: MatchedRequest, res: ServerResponse, next) => {
  const { octets } = req;
  if (octets === undefined) return next();
  if (hasOctets(req)) req.body = octets;
  else if (!isLong(octets)) req.body = octets.length === 0 ? {} : parseJson(octets);
  else {
    req.isChecked = true;
    longBody(req, res, octets)
      .check()
      .then((body) => {
        req.body = body;
        next();
      }, next);
    return;
  }
  next();
};

export const body: RequestHandler[] = [read, parse];
