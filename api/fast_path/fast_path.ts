import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { checkSurrogates, isTooDeep, parseJson } from "../codec/json.ts";
import type { SendError } from "../errors/error_to_problem.ts";
import type { HandlerRequest, HandlerResponse, ServiceContext } from "../handler.ts";
import { hasOctets, type RawRequest } from "../middleware/body.ts";
import { hasBody, receiveBody } from "../middleware/receive_body.ts";
import { requestId, respond, setCommonHeaders } from "../respond.ts";
import { BODY_MAX, type PlainRequest, PlainRequests } from "./plain_request.ts";
import type { Router } from "./plain_routes.ts";

/**
 * Plain requests go straight to their handlers, validated against the same document. All others take the
 * general path through Express and express-openapi-validator, which decides what is wrong.
 */

/** For tests: called with what each path makes of a request. */
export interface Hooks {
  /** Undefined if the fast path passes the request to the general one. */
  onFastRequest?(req: IncomingMessage, request: HandlerRequest | undefined): void;
  onGeneralRequest?(req: IncomingMessage, request: HandlerRequest): void;
  /** The general path rejects a request, or its handler fails. */
  onGeneralError?(req: IncomingMessage, error: Error): void;
  onResponse?(operationId: string, response: HandlerResponse): void;
}

function withJson(plain: PlainRequest, octets: Buffer): PlainRequest | undefined {
  const { route, request } = plain;
  try {
    request.body = parseJson(octets);
    if (isTooDeep(request.body)) return undefined;
    checkSurrogates(octets, request.body);
  } catch {
    return undefined;
  }
  return route.validators().body?.(request.body) ? plain : undefined;
}

type FastReply = (
  req: IncomingMessage,
  res: ServerResponse,
  plain: PlainRequest | undefined,
) => void;

function read(requests: PlainRequests, done: FastReply): RequestListener {
  return (req: RawRequest, res) => {
    const plain = requests.read(req, res);
    if (plain === undefined || !hasBody(req)) return done(req, res, plain);
    receiveBody(req, res, BODY_MAX, (_error, octets) => {
      req.octets = octets;
      if (!hasOctets(req)) return done(req, res, withJson(plain, octets));
      plain.request.body = octets;
      done(req, res, plain);
    });
  };
}

export interface Paths {
  find: Router["find"];
  general: RequestListener;
  sendError: SendError;
  hooks: Hooks;
}

export function createFastPath(context: ServiceContext, paths: Paths): RequestListener {
  const { general, sendError, hooks } = paths;

  async function run(req: IncomingMessage, res: ServerResponse, { route, request }: PlainRequest) {
    try {
      const response = await route.handler(context, request);
      hooks.onResponse?.(route.operationId, response);
      respond(res, requestId(req), response);
    } catch (error) {
      setCommonHeaders(res, requestId(req));
      const { operationId } = route;
      sendError(error as Error, Object.assign(req, { operationId }), res);
    }
  }

  return read(new PlainRequests(context, paths.find), (req, res, plain) => {
    hooks.onFastRequest?.(req, plain?.request);
    if (plain) run(req, res, plain);
    else general(req, res);
  });
}

/** For tests: every request takes the general path after the fast one has read it. */
export function createComparison(
  context: ServiceContext,
  { find, general, hooks }: Paths,
): RequestListener {
  return read(new PlainRequests(context, find), (req, res, plain) => {
    hooks.onFastRequest?.(req, plain?.request);
    general(req, res);
  });
}
