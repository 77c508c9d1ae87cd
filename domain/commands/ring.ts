import { Errno, isErrno } from "../errno.ts";
import { type Call, optional, type RunCommand } from "../redis/command.ts";
import { bytes, number, pairs, text } from "../redis/reply.ts";

/** Ring buffers: records in order. A position counts the bytes before it, of all times. */

export interface RingRecord {
  /** After the record: where reading goes on. */
  position: number;
  data: Buffer;
}

export interface RingPage {
  records: RingRecord[];
  /** Where reading goes on. */
  position: number;
  /** Bytes before the first record that were not there to be read. */
  missed: number;
  /** Records refused for want of room, so far. */
  dropped: number;
  /** Where new records are told. */
  channel: string;
}

export function ringCommands(run: RunCommand) {
  return {
    /** @throws EAGAIN at the first record that finds no room, with the count of those before it. */
    async ringOutput(call: Call, fd: number, records: Buffer[], flags: number) {
      const reply = await run(call, "ring_output", fd, flags, ...records);
      const [position, accepted, errno, detail] = reply;
      const [code, count] = [text(errno), number(accepted)];
      if (isErrno(code)) throw new Errno(code, text(detail), { extensions: { count } });
      return { position: number(position), accepted: count };
    },

    /**
     * Through an fd that may write, what is before `position` is consumed by this.
     *
     * @param position undefined: the consumer's.
     * @param limit 0 only looks.
     */
    async ringRead(call: Call, fd: number, position: number | undefined, limit: number) {
      const reply = await run(call, "ring_read", fd, optional(position), limit);
      const [list, on, missed, dropped, channel] = reply;
      const page: RingPage = {
        records: pairs(list).map(([after, data]) => ({
          position: number(after),
          data: bytes(data),
        })),
        position: number(on),
        missed: number(missed),
        dropped: number(dropped),
        channel: text(channel),
      };
      return page;
    },
  };
}
