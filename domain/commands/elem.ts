import type { Call, RunCommand } from "../redis/command.ts";
import { bytes, number, padWithZeros, pairs } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";

/** Elements of maps. Keys and values are bytes as the kernel takes them; an empty key is none. */

const NONE = Buffer.alloc(0);

export interface ElementReply {
  key: Buffer;
  value: Buffer;
}

export interface ElementPage {
  elements: ElementReply[];
  /** Where the next page starts, if there is one. */
  cursor: Buffer | undefined;
  /** The values are ids of objects. */
  ids: boolean;
  /** Of the map; every change of its elements makes a new one. */
  revision: number;
}

/** What a lookup may come with: `value` for a Bloom filter, `touch` to count as use of the element. */
export interface LookupReply {
  flags: number;
  value?: Buffer | undefined;
  touch?: boolean;
}

function page([elements, rest, ids, revision, size]: RedisValue[]): ElementPage {
  const show = (value: RedisValue) => padWithZeros(bytes(value), number(size));
  return {
    elements: pairs(elements).map(([key, value]) => ({ key: bytes(key), value: show(value) })),
    cursor: (rest as Buffer | null) ?? undefined,
    ids: ids === 1,
    revision: number(revision),
  };
}

export function elemCommands(run: RunCommand) {
  return {
    async mapLookupElem(call: Call, fd: number, key: Buffer, { flags, value, touch }: LookupReply) {
      const more = [value ?? NONE, touch ? 1 : 0];
      // To be looked at as a program looks moves an element of an LRU map.
      const as = touch ? { ...call, writes: true } : call;
      const reply = await run(as, "map_lookup_elem", fd, key, flags, ...more);
      const [found, id, revision, size] = reply;
      const all = padWithZeros(bytes(found), number(size));
      return { value: all, id: id === 1, revision: number(revision) };
    },

    /** @param match tags of If-Match, one of which must fit; empty: whatever is there. */
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

    /** All elements as of one moment. @throws EFBIG for more than a script can show in time. */
    async mapSnapshot(call: Call, fd: number) {
      return page(await run(call, "map_snapshot", fd));
    },
  };
}
