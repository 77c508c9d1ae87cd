import { isUtf8 } from "node:buffer";
import type { Request, RequestHandler } from "express";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { escapePointer } from "../openapi/json_pointer.ts";
import { routes } from "../openapi/openapi.ts";
import { quoteText } from "../text.ts";

/**
 * Rejects ill-formed Unicode, which would otherwise be stored as U+FFFD or as another text than the client
 * sent: bytes that are not UTF-8 in a body or a URL, and lone surrogates in JSON.
 */

/** The position of the first byte that does not belong to a UTF-8 text; the octets have one. */
function firstInvalid(octets: Buffer): number {
  const replaced = Buffer.from(octets.toString());
  let at = 0;
  while (octets[at] === replaced[at]) at += 1;
  return at;
}

/** @throws EINVAL */
export function checkUtf8(octets: Buffer): void {
  if (isUtf8(octets)) return;
  throw new InvalidRequest("/body", `is not valid UTF-8 at byte ${firstInvalid(octets)}`);
}

interface IllFormed {
  /** The path to the string, or to the object that has the name. */
  path: (string | number)[];
  text: string;
  isName: boolean;
}

/** Invariant: the value is nested no deeper than the check of the depth allows. */
function findIllFormed(value: unknown): IllFormed | undefined {
  if (typeof value === "string") {
    return value.isWellFormed() ? undefined : { path: [], text: value, isName: false };
  }
  if (typeof value !== "object" || value === null) return undefined;
  const names = Array.isArray(value) ? value.keys() : Object.keys(value);
  for (const name of names) {
    if (typeof name === "string" && !name.isWellFormed()) {
      return { path: [], text: name, isName: true };
    }
    const found = findIllFormed((value as Record<string | number, unknown>)[name]);
    if (found) return { ...found, path: [name, ...found.path] };
  }
  return undefined;
}

/** UTF-8 has no surrogates, so JSON has a lone one only where it has an escape. */
const ESCAPE = Buffer.from("\\u");

/** @param octets the text of the body, which is UTF-8. @throws EINVAL with the pointer */
export function checkSurrogates(octets: Buffer, body: unknown): void {
  const found = octets.includes(ESCAPE) ? findIllFormed(body) : undefined;
  if (!found) return;
  const pointer = ["/body", ...found.path.map(escapePointer)].join("/");
  const what = found.isName ? "has a name that is not" : "must be";
  throw new InvalidRequest(pointer, `${what} well-formed Unicode, got ${quoteText(found.text)}`);
}

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
