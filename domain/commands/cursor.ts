import { einval } from "../errno.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { number, text } from "../redis/reply.ts";

/**
 * Cursors of lists: the last item that a page looked at, as text that a client passes back unread.
 * Invariant: a page starts after its cursor, so every item that stays is listed once over all pages.
 */

/** Which page of a list to read. */
export interface PageRequest {
  /** The `next_cursor` of the page before, undefined for the first page. */
  cursor?: string | undefined;
  /** The most items that the page may have. */
  limit: number;
}

/** A page whose kernel command has a start of its own. */
export interface StartedPageRequest extends PageRequest {
  /** Lists ids above this one. */
  start_id?: number | undefined;
}

/** The largest id that BPF_*_GET_NEXT_ID starts after. */
const START_MAX = 2 ** 31 - 2;
const MAX_QUOTED = 60;

/** Makes the EINVAL of a cursor that no page has answered. */
function badCursor(cursor: string): Error {
  const quoted = JSON.stringify(cursor.slice(0, MAX_QUOTED));
  return einval(`must be the next_cursor of another page, got ${quoted}`, "cursor");
}

/** Reads the number after which a page starts. @throws EINVAL */
export function readCursor(cursor: string | undefined, max = Number.MAX_SAFE_INTEGER): number {
  if (cursor === undefined) return 0;
  if (!/^(0|[1-9]\d{0,15})$/.test(cursor) || Number(cursor) > max) throw badCursor(cursor);
  return Number(cursor);
}

/** Reads the id after which a page starts. @throws EINVAL */
export function readStart({ cursor, start_id }: StartedPageRequest): number {
  if (cursor === undefined) return start_id ?? 0;
  if (start_id === undefined) return readCursor(cursor, START_MAX);
  throw einval("must not be sent together with cursor", "start_id");
}

const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Reads the name after which a page of namespaces starts. @throws EINVAL */
export function readNameCursor(cursor: string | undefined): string {
  if (cursor !== undefined && !NAMESPACE.test(cursor)) throw badCursor(cursor);
  return cursor ?? "";
}

const HEX = /^(?:[0-9a-f]{2})+$/;

/** Reads the key after which a page of elements starts. @throws EINVAL */
export function readKeyCursor(cursor: string | undefined): Buffer | undefined {
  if (cursor === undefined) return undefined;
  if (!HEX.test(cursor)) throw badCursor(cursor);
  return Buffer.from(cursor, "hex");
}

/** The field that a page of elements has unless it is the last. */
export function nextKeyCursor(last: RedisValue | undefined): { next_cursor?: string } {
  return Buffer.isBuffer(last) ? { next_cursor: last.toString("hex") } : {};
}

/** The field that a page has unless it is the last. */
export function nextCursor(last: RedisValue | undefined): { next_cursor?: string } {
  return last === null || last === undefined ? {} : { next_cursor: String(number(last)) };
}

/** Encodes a place in a directory so that it needs no percent-encoding. @param last "ino name" */
export function directoryCursor(last: RedisValue | undefined): { next_cursor?: string } {
  if (last === null || last === undefined) return {};
  const place = text(last);
  const end = place.indexOf(" ");
  const name = Buffer.from(place.slice(end + 1)).toString("base64url");
  return { next_cursor: `${place.slice(0, end)}.${name}` };
}

/** Reads the inode number and the name after which a page of a directory starts. @throws EINVAL */
export function readDirectoryCursor(cursor: string | undefined): [ino: string, name: Buffer] {
  if (cursor === undefined) return ["0", Buffer.alloc(0)];
  const [, ino = "", name = ""] = /^(\d{1,15})\.([\w-]+)$/.exec(cursor) ?? [];
  const bytes = Buffer.from(name, "base64url");
  if (ino === "" || bytes.toString("base64url") !== name) throw badCursor(cursor);
  return [ino, bytes];
}
