import { Errno, isErrno } from "../errno.ts";
import { type Call, optional, type RunCommand } from "../redis/command.ts";
import type { RingLook } from "../redis/lookout.ts";
import type { Argument, RedisValue } from "../redis/redis_value.ts";
import { bytes, list, number, pairs, text } from "../redis/reply.ts";

/** Commands of ring buffers. A position counts all bytes ever written before it. */

export interface RingRecord {
  /** The position after the record. */
  position: number;
  data: Buffer;
}

export interface RingPage {
  records: RingRecord[];
  /** The position at which the next read continues. */
  position: number;
  /** Bytes before the first record that were already consumed. */
  missed: number;
  /** Records rejected so far because the buffer was full. */
  dropped: number;
  /** The Redis channel that announces new records. */
  channel: string;
  mapId: number;
}

/** A ring buffer by its fd. With its map's id, the fd fails once it is closed and its number reused. */
export interface Ring {
  fd: number;
  mapId?: number | undefined;
}

/** @param run calls ring_look, which needs no session. */
export function ringLook(
  run: (namespace: string, args: Argument[]) => Promise<RedisValue[]>,
): RingLook {
  return async (namespace, waiters) => {
    const args: Argument[] = [];
    for (const { reader, known } of waiters) {
      args.push(reader.sid, reader.fd, reader.mapId, known.position, known.dropped);
    }
    const [places] = await run(namespace, args);
    return list(places).map(number);
  };
}

export function ringCommands(run: RunCommand) {
  return {
    /** @throws EAGAIN at the first record that does not fit, with the count of those before it. */
    async ringOutput(call: Call, fd: number, records: Buffer[], flags: number) {
      const reply = await run(call, "ring_output", fd, flags, ...records);
      const [position, accepted, errno, detail] = reply;
      const [code, count] = [text(errno), number(accepted)];
      if (isErrno(code)) throw new Errno(code, text(detail), { extensions: { count } });
      return { position: number(position), accepted: count };
    },

    /**
     * A read through a writable fd consumes everything before `position`.
     *
     * @param position the consumer's when undefined.
     * @param limit 0 reads no records, only the positions.
     */
    async ringRead(call: Call, ring: Ring, position: number | undefined, limit: number) {
      const { fd, mapId } = ring;
      const reply = await run(call, "ring_read", fd, optional(position), limit, optional(mapId));
      const [records, on, missed, dropped, channel, id] = reply;
      const page: RingPage = {
        records: pairs(records).map(([after, data]) => ({
          position: number(after),
          data: bytes(data),
        })),
        position: number(on),
        missed: number(missed),
        dropped: number(dropped),
        channel: text(channel),
        mapId: number(id),
      };
      return page;
    },
  };
}
