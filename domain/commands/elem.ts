import type { Call, RunCommand } from "../redis/command.ts";
import { INNER_DUMP } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { bytes, list, nameFields, number, padWithZeros, pairs, text } from "../redis/reply.ts";
import { parseSchema, type Schema } from "../schema/schema.ts";
import { nextKeyCursor, type PageRequest, readKeyCursor } from "./cursor.ts";

/** Commands on single elements. Keys and values are bytes; an empty key means no key. */

const NONE = Buffer.alloc(0);

export interface ElementReply {
  key: Buffer;
  value: Buffer;
}

export interface ElementPage {
  elements: ElementReply[];
  /** Absent on the last page. */
  next_cursor?: string;
  /** The values are ids of objects. */
  ids: boolean;
  /** The map's revision, which grows with every change of its elements. */
  revision: number;
}

/** Options of a lookup: `value` for a Bloom filter, `touch` to count as use of the element. */
export interface LookupReply {
  flags: number;
  value?: Buffer | undefined;
  touch?: boolean;
}

/** @param size bytes of a value. */
function elementPage(
  elements: RedisValue | undefined,
  rest: RedisValue | undefined,
  size: number,
): Pick<ElementPage, "elements" | "next_cursor"> {
  const padded = (value: RedisValue) => padWithZeros(bytes(value), size);
  return {
    elements: pairs(elements).map(([key, value]) => ({ key: bytes(key), value: padded(value) })),
    ...nextKeyCursor(rest),
  };
}

function page([elements, rest, ids, revision, size]: RedisValue[]): ElementPage {
  return {
    ...elementPage(elements, rest, number(size)),
    ids: ids === 1,
    revision: number(revision),
  };
}

/** A map in a map of maps, with its elements as of the moment of the page. */
export interface InnerMap extends Pick<ElementPage, "elements" | "next_cursor"> {
  key: Buffer;
  id: number;
  value_size: number;
  /** Parts of each value of a per-CPU map. */
  cpus?: number;
  /** Read only when the request asks for schemas. */
  schema?: Schema;
}

export interface NestedPage {
  maps: InnerMap[];
  /** Absent on the last page. */
  next_cursor?: string;
}

function nestedPage([rows, rest, texts]: RedisValue[]): NestedPage {
  const schemas = list(texts).map((stored) => parseSchema(text(stored)));
  const maps = list(rows).map((row): InnerMap => {
    const map = nameFields(INNER_DUMP, list(row));
    const schema = schemas[number(map.schema) - 1];
    return {
      ...elementPage(map.elements, map.next, number(map.value_bytes)),
      key: bytes(map.key),
      id: number(map.id),
      value_size: number(map.value_size),
      ...(map.cpus ? { cpus: number(map.cpus) } : {}),
      ...(schema ? { schema } : {}),
    };
  });
  return { maps, ...nextKeyCursor(rest) };
}

export function elemCommands(run: RunCommand) {
  return {
    async mapLookupElem(call: Call, fd: number, key: Buffer, { flags, value, touch }: LookupReply) {
      const more = [value ?? NONE, touch ? 1 : 0];
      // A lookup that counts as use moves an element of an LRU map, so it writes.
      const as = touch ? { ...call, writes: true } : call;
      const reply = await run(as, "map_lookup_elem", fd, key, flags, ...more);
      const [found, id, revision, size] = reply;
      const all = padWithZeros(bytes(found), number(size));
      return { value: all, id: id === 1, revision: number(revision) };
    },

    /** @param match tags of If-Match, one of which must match; empty for no condition. */
    async mapUpdateElem(
      call: Call,
      fd: number,
      { key, value }: ElementReply,
      flags: number,
      match: string,
    ) {
      const [revision] = await run(call, "map_update_elem", fd, key, value, flags, match);
      return { revision: number(revision) };
    },

    async mapDeleteElem(call: Call, fd: number, key: Buffer, match: string) {
      const [revision] = await run(call, "map_delete_elem", fd, key, match);
      return { revision: number(revision) };
    },

    async mapLookupAndDeleteElem(
      call: Call,
      fd: number,
      key: Buffer,
      flags: number,
      match: string,
    ) {
      return bytes((await run(call, "map_lookup_and_delete_elem", fd, key, flags, match))[0]);
    },

    /** @param key undefined for the first key. */
    async mapGetNextKey(call: Call, fd: number, key: Buffer | undefined) {
      return bytes((await run(call, "map_get_next_key", fd, key ?? NONE))[0]);
    },

    async mapDump(call: Call, fd: number, { cursor, limit }: PageRequest) {
      return page(await run(call, "map_dump", fd, readKeyCursor(cursor) ?? NONE, limit));
    },

    /** Reads the elements of the maps in a map of maps. @param schemas whether to read their schemas. */
    async mapDumpNested(call: Call, fd: number, { cursor, limit }: PageRequest, schemas: boolean) {
      const how = [readKeyCursor(cursor) ?? NONE, limit, schemas ? 1 : 0];
      return nestedPage(await run(call, "map_dump_nested", fd, ...how));
    },

    /** Reads all elements atomically. @throws EFBIG for more than one script reads in time. */
    async mapSnapshot(call: Call, fd: number) {
      return page(await run(call, "map_snapshot", fd));
    },
  };
}
