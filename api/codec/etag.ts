import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { HttpError } from "../errors/error_to_problem.ts";

/** Entity tags of elements: the value in hex, or its SHA-1 if it is longer; lua/map/if_match.lua compares them. */

const MAX_HEX_BYTES = 32;
const TAG = /^(?:\*|"\w{1,64}")$/;

export function etag(value: Buffer): string {
  const tag =
    value.length > MAX_HEX_BYTES
      ? createHash("sha1").update(value).digest("hex")
      : value.toString("hex");
  return `"${tag}"`;
}

/** The tags of If-Match, separated by spaces; empty without the header. @throws 400 */
export function ifMatch({ headers }: { headers: IncomingHttpHeaders }): string {
  const header = headers["if-match"];
  if (header === undefined) return "";
  const tags = header.split(",").map((tag) => tag.trim());
  if (!tags.every((tag) => TAG.test(tag))) {
    throw new HttpError(
      400,
      "malformed",
      `If-Match must be * or a list of tags in quotes, got ${header.slice(0, 100)}`,
    );
  }
  return tags.map((tag) => tag.replaceAll('"', "")).join(" ");
}
