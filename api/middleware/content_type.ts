import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import { HttpError, InvalidRequest } from "../errors/error_to_problem.ts";
import { JSON_TYPE, OCTETS } from "../media_types.ts";
import type { Operation } from "../openapi/openapi.ts";
import { quoteText } from "../text.ts";
import { contentCoding } from "./content_coding.ts";
import { hasBody } from "./receive_body.ts";

/** Checks the media type of a body, and says what is wrong with it. */

interface MatchedRequest extends Request {
  openapi?: { schema: Pick<Operation, "requestBody"> };
}

const TYPES = [JSON_TYPE, OCTETS];

const unsupported = (wrong: string) => {
  const advice = `send Content-Type: ${JSON_TYPE}, or ${OCTETS} where an operation takes octets`;
  return new HttpError(415, "unsupported-media-type", `${wrong}; ${advice}`);
};

/** Without its type a body would be ignored where it is optional. */
export const untyped = () => unsupported("Content-Type is missing");

/** The media type without its parameters. @throws 415 */
function mediaType(header: string): string {
  const [type = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-8"?$/.test(charset);
  if (TYPES.includes(type) && isUtf8) return type;
  throw unsupported(`Content-Type ${quoteText(header)} is not supported`);
}

/** A chunked body may have no octets, which shows when it is read. */
const mayBeEmpty = ({ headers }: Request) => headers["transfer-encoding"] !== undefined;

/** Operations of these methods take no body. */
export const takesBody = ({ method }: Request) => method !== "GET" && method !== "DELETE";

/**
 * The validator keeps a compiled copy for each Content-Type that a client sends and never drops it.
 * So only two pass, without parameters, and none passes without a body.
 */
export const contentType: RequestHandler = (req, _res, next) => {
  contentCoding(req);
  const type = req.headers["content-type"];
  if (!hasBody(req) || !takesBody(req)) delete req.headers["content-type"];
  else if (type !== undefined) req.headers["content-type"] = mediaType(type);
  else if (!mayBeEmpty(req)) throw untyped();
  next();
};

/** A request without the media type that its operation takes. */
function mediaTypeError({ headers, openapi }: MatchedRequest): Error {
  const { "content-type": type } = headers;
  if (type === undefined) return new InvalidRequest("/body", "is missing");
  const wrong = `Content-Type ${type} is not taken here`;
  const types = Object.keys(openapi?.schema.requestBody?.content ?? {}).join(" or ");
  return new HttpError(415, "unsupported-media-type", `${wrong}; send ${types}`);
}

/** Says what the validator leaves out when it rejects a media type. */
export const mediaTypeErrors: ErrorRequestHandler = (error, req: MatchedRequest, _res, next) => {
  const isUnknown = error.status === 415 && !(error instanceof HttpError);
  next(isUnknown ? mediaTypeError(req) : error);
};
