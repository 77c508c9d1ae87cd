import type { Call, RunCommand } from "../redis/command.ts";
import { bytes, number, padWithZeros, pairs } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";

/** Commands on single elements. Keys and values are bytes; an empty key means no key. */

const NONE = Buffer.alloc(0);

export interface ElementReply {
  key: Buffer;
  value: Buffer;
}

export interface ElementPage {
  elements: ElementReply[];
  /** Where the next page starts; undefined after the last page. */
  cursor: Buffer | undefined;
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

function page([elements, rest, ids, revision, size]: RedisValue[]): ElementPage {
  const padded = (value: RedisValue) => padWithZeros(bytes(value), number(size));
  return {
    elements: pairs(elements).map(([key, value]) => ({ key: bytes(key), value: padded(value) })),
    cursor: (rest as Buffer | null) ?? undefined,
    ids: ids === 1,
    revision: number(revision),
  };
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

    async mapDump(call: Call, fd: number, cursor: Buffer | undefined, limit: number) {
      return page(await run(call, "map_dump", fd, cursor ?? NONE, limit));
    },

    /** Reads all elements atomically. @throws EFBIG for more than one script reads in time. */
    async mapSnapshot(call: Call, fd: number) {
      return page(await run(call, "map_snapshot", fd));
    },
  };
}
