import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { hashInSlices } from "../../domain/bytes.ts";
import { Errno } from "../../domain/errno.ts";
import { HttpError } from "../errors/error_to_problem.ts";

/** Entity tags of elements: the value in hex, or its SHA-1 if it is longer; lua/map/if_match.lua compares them. */

const MAX_HEX_BYTES = 32;
const TAG = /^(?:\*|"\w{1,64}")$/;

async function sha1Of(value: Buffer): Promise<string> {
  const hash = createHash("sha1");
  await hashInSlices(hash, value);
  return `"${hash.digest("hex")}"`;
}

/** A promise for a long value alone, because most lookups are of short ones. */
export function etag(value: Buffer): string | Promise<string> {
  return value.length > MAX_HEX_BYTES ? sha1Of(value) : `"${value.toString("hex")}"`;
}

interface ConditionalRequest {
  headers: IncomingHttpHeaders;
}

/** True for If-None-Match: *, the one value that the document allows for a write. */
const createsOnly = ({ headers }: ConditionalRequest) => headers["if-none-match"] !== undefined;

/**
 * The conditions of a write as Lua reads them: "!" for If-None-Match: *, then the tags of If-Match, separated
 * by spaces; empty without conditions. @throws 400
 */
export function conditions(request: ConditionalRequest): string {
  const tags = ifMatch(request);
  return createsOnly(request) ? `! ${tags}`.trimEnd() : tags;
}

/** With If-None-Match: * what exists fails the condition, not the command (RFC 9110, section 13.1.2). */
export async function createOnly<T>(request: ConditionalRequest, command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    if (!createsOnly(request) || !(error instanceof Errno) || error.code !== "EEXIST") throw error;
    throw new Errno("ESTALE", `If-None-Match: * allows no node with this path: ${error.message}`);
  }
}

/** The tags of If-Match, separated by spaces; empty without the header. @throws 400 */
function ifMatch({ headers }: ConditionalRequest): string {
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
