import type { IncomingMessage, RequestListener } from "node:http";
import { HttpError, type SendError } from "../errors/error_to_problem.ts";
import { quoteText } from "../text.ts";

/**
 * Takes request targets in absolute form, as clients of a proxy send them, to origin form, which all
 * that follows reads. The authority of such a target replaces the Host (RFC 9112, section 3.2.2).
 */

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;
/** The deprecated userinfo hides the host from people (RFC 9110, section 4.2.4). */
const AUTHORITY = /^[^@\s]+$/;
const MAX_QUOTED = 100;

/** @throws 400 */
function takeAbsolute(req: IncomingMessage): void {
  const [, authority = "", rest = ""] = ABSOLUTE.exec(req.url ?? "") ?? [];
  if (!AUTHORITY.test(authority)) {
    const detail = "a request target must have a host and no userinfo";
    const quoted = quoteText(req.url ?? "", MAX_QUOTED);
    throw new HttpError(400, "malformed", `${detail}, got ${quoted}`);
  }
  req.headers.host = authority;
  req.url = rest.startsWith("/") ? rest : `/${rest}`;
}

/** Wraps a listener, so that no other code sees an absolute target. */
export function withOriginForm(listener: RequestListener, sendError: SendError): RequestListener {
  return (req, res) => {
    if (req.url?.startsWith("/") || !ABSOLUTE.test(req.url ?? "")) return listener(req, res);
    try {
      takeAbsolute(req);
    } catch (error) {
      return sendError(error as Error, req, res);
    }
    listener(req, res);
  };
}
