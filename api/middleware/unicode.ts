import type { Request, RequestHandler } from "express";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { escapePointer } from "../openapi/json_pointer.ts";
import { routes } from "../openapi/openapi.ts";
import { quoteText } from "../text.ts";

/**
 * Rejects URLs with bytes that are not UTF-8, which would otherwise be stored as U+FFFD or as another text
 * than the client sent; codec/json.ts rejects such bodies.
 */

function isEncodedUtf8(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** The pointer to the parameter that is a segment of a path, if the path is one of the document's. */
function segmentPointer(segments: readonly string[], at: number): string {
  for (const { path } of routes) {
    const own = path.split("/");
    const isSame = (part: string, i: number) => part.startsWith("{") || part === segments[i];
    const name = own.length === segments.length && own.every(isSame) && own[at]?.slice(1, -1);
    if (name) return `/params/${name}`;
  }
  return "/params";
}

/** A name that is not UTF-8 itself has no pointer. */
const pairPointer = (name: string) =>
  isEncodedUtf8(name) ? `/query/${escapePointer(decodeURIComponent(name))}` : "/query";

/** @throws EINVAL */
function checkPart(part: string, pointer: () => string): void {
  if (isEncodedUtf8(part)) return;
  throw new InvalidRequest(pointer(), `must be percent-encoded UTF-8, got ${quoteText(part)}`);
}

function checkUrl(url: string): void {
  const mark = url.indexOf("?");
  const segments = (mark < 0 ? url : url.slice(0, mark)).split("/");
  for (const [i, part] of segments.entries()) checkPart(part, () => segmentPointer(segments, i));
  for (const pair of mark < 0 ? [] : url.slice(mark + 1).split("&")) {
    const [name = ""] = pair.split("=", 1);
    checkPart(pair, () => pairPointer(name));
  }
}

/** Checks the URL before anything decodes it; Node takes only ASCII in it. */
export const encodedUrl: RequestHandler = (req: Request, _res, next) => {
  if (req.url.includes("%")) checkUrl(req.url);
  next();
};
