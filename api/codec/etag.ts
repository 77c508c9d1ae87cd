import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { HttpError } from "../errors/errors.ts";

/** Entity tags of elements: the value itself in hex, of longer ones the SHA-1; see lua/map/if_match.lua. */

const SHORT = 32;
const LIST = /^(?:\*|"\w{1,64}")$/;

export function etag(value: Buffer): string {
  const tag =
    value.length > SHORT ? createHash("sha1").update(value).digest("hex") : value.toString("hex");
  return `"${tag}"`;
}

/** The tags of If-Match, of which one must fit; empty without. @throws 400 for what is no tag. */
export function ifMatch({ headers }: { headers: IncomingHttpHeaders }): string {
  const header = headers["if-match"];
  if (header === undefined) return "";
  const tags = header.split(",").map((tag) => tag.trim());
  if (!tags.every((tag) => LIST.test(tag))) {
    throw new HttpError(400, "malformed", "If-Match: * or tags in quotes are wanted");
  }
  return tags.map((tag) => tag.replaceAll('"', "")).join(" ");
}
