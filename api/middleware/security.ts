import type { ErrorRequestHandler, Request, RequestHandler } from "express";
import { BadToken } from "../../domain/errno.ts";
import type { Caller } from "../../domain/token.ts";
import { bearer, type ServiceContext } from "../handler.ts";
import { type Operation, routes } from "../openapi/openapi.ts";
import type { Security } from "./validation.ts";

/** Checks the credentials of a request: the security schemes of the document. */

export interface AuthenticatedRequest extends Request {
  caller?: Caller;
  /** The map that a ticket is for, unless the request has a session's token. */
  ticketMapId?: number;
  /** Why the first of the credentials was rejected. */
  refusal?: Error;
  openapi?: { pathParams: Record<string, unknown>; schema?: Operation };
}

/** A ticket is for one fd, and a session's token in the same request precedes it. @throws BadToken */
function checkTicket(req: AuthenticatedRequest, { kernel }: ServiceContext): void {
  const { caller, fd, mapId } = kernel.tokens.readTicket(String(req.query.ticket));
  const given = req.openapi?.pathParams.fd;
  if (String(given) !== String(fd)) throw new BadToken(`the ticket is for fd ${fd}, got ${given}`);
  if (req.caller) return;
  Object.assign(req, { caller, ticketMapId: mapId });
}

type Check = (req: AuthenticatedRequest) => void;

/** Keeps the reason, of which the validator passes on the text alone. */
function recorded(check: Check): Security[string] {
  return (req: AuthenticatedRequest) => {
    try {
      check(req);
    } catch (error) {
      req.refusal ??= error as Error;
      throw error;
    }
    return true;
  };
}

/** @throws if the document has a security scheme without a check. */
export function createSecurity(context: ServiceContext): Security {
  const checks: Security = {
    session: recorded((req) => {
      req.caller = bearer(context.kernel, req.headers.authorization);
    }),
    ticket: recorded((req) => checkTicket(req, context)),
    // A service without keys needs none, which the document cannot say: see checkApiKey().
    apiKey: () => true,
  };
  for (const { operation } of routes) {
    for (const scheme of (operation.security ?? []).flatMap(Object.keys)) {
      if (!checks[scheme]) throw new Error(`openapi.yaml: no check for the security of ${scheme}`);
    }
  }
  return checks;
}

/** The validator reports its first scheme, the session, also when the client sent a ticket alone. */
export const reportRefusal: ErrorRequestHandler = (error, req: AuthenticatedRequest, _res, next) =>
  next(req.refusal ?? error);

/** Rejects a request without a key before its body is read; the handler checks the key's rights. */
export function checkApiKey({ keys }: ServiceContext): RequestHandler {
  return (req: AuthenticatedRequest, _res, next) => {
    const schemes = req.openapi?.schema?.security ?? [];
    const needsKey = keys !== undefined && schemes.some((scheme) => "apiKey" in scheme);
    if (needsKey) keys.find(req.headers["x-api-key"] as string | undefined);
    next();
  };
}
