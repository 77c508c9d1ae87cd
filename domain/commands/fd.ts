import { Errno } from "../errno.ts";
import { type Call, optional, type RunCommand } from "../redis/command.ts";
import { BTF_STEP_BYTES, INFO_ROOM } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { bytes, list, number, text } from "../redis/reply.ts";
import { nextCursor, type PageRequest, readCursor } from "./cursor.ts";
import { btfInfo, mapInfo, progInfo } from "./info.ts";

/** Commands that open, show, close, duplicate and pass file descriptors. */

export interface Opened {
  fd: number;
  kind: string;
  id: number;
}

export interface FdPageRequest extends PageRequest {
  /** Lists descriptors of objects of this kind alone. */
  kind?: "map" | "prog" | "btf" | undefined;
}

export { INFO_ROOM };

/** Room for the parts of an object, in bytes of a BTF object or in records of a program. */
export type InfoRoom = Partial<Record<(typeof INFO_ROOM)[number], number | undefined>>;

/** The records that there was room for, as hex. */
function partsOf(room: InfoRoom, parts: readonly RedisValue[]) {
  const [first, second] = parts;
  if (first === undefined) return {};
  return {
    ...(room.nr_func_info ? { func_info: bytes(first).toString("hex") } : {}),
    ...(room.nr_line_info ? { line_info: bytes(second).toString("hex") } : {}),
  };
}

function infoOf(kind: string, id: number, fields: RedisValue | undefined) {
  if (kind === "map") return mapInfo(id, fields);
  return kind === "prog" ? progInfo(id, fields) : btfInfo(id, fields);
}

const opened = ([fd, kind, id]: RedisValue[]): Opened => ({
  fd: number(fd),
  kind: text(kind),
  id: number(id),
});

/** Reads the bytes after the first step. @throws EBADFD when the fd is of another object now */
async function readBtfRest(
  read: (room: InfoRoom) => Promise<RedisValue[]>,
  { fd, id, end }: { fd: number; id: number; end: number },
): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for (let at = BTF_STEP_BYTES; at < end; at += BTF_STEP_BYTES) {
    const [kind, found, , , parts] = await read({ btf_size: end - at, btf_from: at });
    if (text(kind) !== "btf" || number(found) !== id) {
      throw new Errno("EBADFD", `fd ${fd} was closed while the BTF object ${id} was read`);
    }
    pieces.push(bytes(list(parts)[0]));
  }
  return pieces;
}

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

    async objGetInfoByFd(call: Call, fd: number, room: InfoRoom = {}) {
      const read = (more: InfoRoom) =>
        run(call, "obj_get_info_by_fd", fd, ...INFO_ROOM.map((field) => optional(more[field])));
      const [kind, id, fields, flags, parts] = await read(room);
      const info = infoOf(text(kind), number(id), fields);
      const own = { fd, file_flags: number(flags) };
      if (info.kind !== "btf") return { ...info, ...own, ...partsOf(room, list(parts)) };
      if (room.btf_size === undefined) return { ...info, ...own };
      const first = bytes(list(parts)[0]);
      const end = Math.min(room.btf_size, info.btf_size);
      const rest = await readBtfRest(read, { fd, id: info.id, end });
      return { ...info, ...own, btf: Buffer.concat([first, ...rest]).toString("base64") };
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
    btfGetFdById: async (call: Call, id: number, flags: number) =>
      opened(await run(call, "btf_get_fd_by_id", id, flags)),
    progGetFdById: async (call: Call, id: number) =>
      opened(await run(call, "prog_get_fd_by_id", id)),
  };
}
