import type { IncomingMessage, RequestListener } from "node:http";
import { HttpError, type SendError } from "../errors/error_to_problem.ts";
import { quoteText } from "../text.ts";
import type { AccessRules } from "./access_rules.ts";
import { type Cors, createCors } from "./cors.ts";
import { createHostCheck } from "./hosts.ts";

/**
 * Keeps pages of other sites away from a service without API keys, which trusts everything on its
 * machine: the browser of a user there runs those pages.
 */

const MAX_QUOTED = 100;
const quote = (text: string) => quoteText(text, MAX_QUOTED);

/** A proxy may end TLS, so the origin's scheme counts; a Host may name the port that the scheme implies. */
function isOwn(origin: string, host: string | undefined): boolean {
  const scheme = /^https?:/.exec(origin)?.[0];
  if (scheme === undefined || host === undefined) return false;
  const own = `${scheme}//${host}`;
  return URL.canParse(own) && new URL(own).origin === origin;
}

/** Probes use addresses, and the answers tell a page nothing that it could not measure. */
const PROBE = /^\/(?:livez|readyz)(?:\?|$)/;

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

function hostProblem(host: string): HttpError {
  const detail = `the service does not answer as Host ${quote(host)}`;
  const advice = "to allow a name, add it to the setting ALLOWED_HOSTS";
  return new HttpError(403, "host-not-allowed", `${detail}; ${advice}`);
}

function originProblem(pages: string): HttpError {
  const detail = `pages of ${pages} may not use the service`;
  const advice = "to allow an origin, add it to the setting CORS_ORIGINS";
  return new HttpError(403, "origin-not-allowed", `${detail}; ${advice}`);
}

/** What is wrong with the request's Host, Origin and Sec-Fetch-Site. */
function problemOf(
  req: IncomingMessage,
  { isAllowed, cors, refusesOrigins }: Checks,
): HttpError | undefined {
  const { host } = req.headers;
  // A program may speak HTTP/1.0 without Host; no browser does.
  if (host === undefined && req.httpVersion !== "1.0") {
    return new HttpError(400, "malformed", "the header Host is missing");
  }
  const isChecked = isAllowed && !PROBE.test(req.url ?? "");
  if (host !== undefined && isChecked && !isAllowed(host)) return hostProblem(host);
  if (!refusesOrigins) return undefined;
  const { origin, "sec-fetch-site": site } = req.headers;
  if (origin !== undefined) {
    return isOwn(origin, host) || cors.isListed(origin) ? undefined : originProblem(quote(origin));
  }
  const isForeign = site === "cross-site" || site === "same-site";
  return isForeign && !SAFE.has(req.method ?? "") ? originProblem("another site") : undefined;
}

interface Checks {
  isAllowed: ((host: string) => boolean) | undefined;
  cors: Cors;
  refusesOrigins: boolean;
}

/** Calls `listener` for the requests that the rules allow, and answers the others. */
export function withAccess(
  rules: AccessRules,
  listener: RequestListener,
  sendError: SendError,
): RequestListener {
  const { hosts, corsOrigins, refusesOrigins } = rules;
  const cors = createCors(corsOrigins);
  const checks = { isAllowed: hosts && createHostCheck(hosts), cors, refusesOrigins };
  return (req, res) => {
    const problem = problemOf(req, checks);
    if (problem) sendError(problem, req, res);
    else if (!cors.respond(req, res)) listener(req, res);
  };
}
