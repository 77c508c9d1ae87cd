import type { ErrorRequestHandler, Request } from "express";
import { BadToken } from "../../domain/errno.ts";
import type { Caller } from "../../domain/token.ts";
import { bearer, type ServiceContext } from "../handler.ts";
import { routes } from "../openapi/openapi.ts";
import type { Security } from "./validation.ts";

/** Checks the credentials of a request: the security schemes of the document. */

export interface AuthenticatedRequest extends Request {
  caller?: Caller;
  /** Why a ticket was rejected. */
  ticketError?: Error;
  openapi?: { pathParams: Record<string, unknown> };
}

/** A ticket is for one fd, and a session's token in the same request precedes it. @throws BadToken */
function checkTicket(req: AuthenticatedRequest, { kernel }: ServiceContext): void {
  const { caller, fd } = kernel.tokens.readTicket(String(req.query.ticket));
  const given = req.openapi?.pathParams.fd;
  if (String(given) !== String(fd)) throw new BadToken(`the ticket is for fd ${fd}, got ${given}`);
  req.caller ??= caller;
}

/** @throws if the document has a security scheme without a check. */
export function createSecurity(context: ServiceContext): Security {
  const checks: Security = {
    session: (req: AuthenticatedRequest) => {
      req.caller = bearer(context.kernel, req.headers.authorization);
      return true;
    },
    ticket: (req: AuthenticatedRequest) => {
      try {
        checkTicket(req, context);
      } catch (error) {
        req.ticketError = error as Error;
        throw error;
      }
      return true;
    },
    // The handler checks the key, because a service without keys needs none.
    apiKey: () => true,
  };
  for (const { operation } of routes) {
    for (const scheme of (operation.security ?? []).flatMap(Object.keys)) {
      if (!checks[scheme]) throw new Error(`openapi.yaml: no check for the security of ${scheme}`);
    }
  }
  return checks;
}

/** The validator reports the first scheme, which is the session, though the client sent a ticket. */
export const reportTicket: ErrorRequestHandler = (error, req: AuthenticatedRequest, _res, next) =>
  next(req.headers.authorization === undefined ? (req.ticketError ?? error) : error);
