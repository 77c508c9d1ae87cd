import type { Call, RunCommand } from "../redis/command.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { list, number, text } from "../redis/reply.ts";
import { nextCursor, type PageRequest, readCursor } from "./cursor.ts";
import { mapInfo, progInfo } from "./info.ts";

/** Commands that open, show, close, duplicate and pass file descriptors. */

export interface Opened {
  fd: number;
  kind: string;
  id: number;
}

export interface FdPageRequest extends PageRequest {
  /** Lists descriptors of maps or programs alone. */
  kind?: "map" | "prog" | undefined;
}

const opened = ([fd, kind, id]: RedisValue[]): Opened => ({
  fd: number(fd),
  kind: text(kind),
  id: number(id),
});

export function fdCommands(run: RunCommand) {
  return {
    async fdList(call: Call, { cursor, limit, kind }: FdPageRequest) {
      const [page, last] = await run(call, "fd_list", readCursor(cursor), limit, kind ?? "");
      const rows = list(page);
      const fds = Array.from({ length: rows.length / 4 }, (_, i) => ({
        ...opened(rows.slice(4 * i)),
        file_flags: number(rows[4 * i + 3]),
      }));
      return { fds, ...nextCursor(last) };
    },

    async objGetInfoByFd(call: Call, fd: number) {
      const [kind, id, fields, flags] = await run(call, "obj_get_info_by_fd", fd);
      const info = text(kind) === "map" ? mapInfo : progInfo;
      return { ...info(number(id), fields), fd, file_flags: number(flags) };
    },

    close: (call: Call, fd: number) => run(call, "close", fd),

    async dup(call: Call, fd: number) {
      return { fd: number((await run(call, "dup", fd))[0]) };
    },

    sendmsg: (call: Call, fd: number, to: number) => run(call, "sendmsg", fd, to),

    async recvmsg(call: Call) {
      const values = await run(call, "recvmsg");
      return { ...opened(values), from: number(values[3]) };
    },

    objGet: async (call: Call, path: string, flags: number) =>
      opened(await run(call, "obj_get", path, flags)),
    mapGetFdById: async (call: Call, id: number, flags: number) =>
      opened(await run(call, "map_get_fd_by_id", id, flags)),
    progGetFdById: async (call: Call, id: number) =>
      opened(await run(call, "prog_get_fd_by_id", id)),
  };
}
