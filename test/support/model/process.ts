import {
  type BpfObject,
  fail,
  type ModelProcess,
  type ModelState,
  type OpenFile,
} from "./state.ts";

/** Models processes and their fd tables: the lowest free fd, sharing, and passing. */

const STREAMS = 3;

export const isRoot = (process: ModelProcess) => process.uid === 0;

export function needAdmin(process: ModelProcess): void {
  if (!isRoot(process)) fail("EPERM");
}

export function fget(process: ModelProcess, fd: number, absent = "EBADF"): OpenFile {
  return process.fds.get(fd) ?? fail(fd < STREAMS ? "EINVAL" : absent);
}

export function fgetKind<K extends BpfObject["kind"]>(process: ModelProcess, fd: number, kind: K) {
  const file = fget(process, fd);
  if (file.object.kind !== kind) fail("EINVAL");
  return file as OpenFile & { object: Extract<BpfObject, { kind: K }> };
}

/** RLIMIT_NOFILE is "one greater than the maximum file descriptor number". */
export function lowest(process: ModelProcess): number {
  let fd = STREAMS;
  while (process.fds.has(fd)) fd += 1;
  return fd < process.nofile ? fd : fail("EMFILE");
}

/** Opens a new file at the lowest free fd. */
export function open(
  state: ModelState,
  process: ModelProcess,
  object: BpfObject,
  mode: number,
): number {
  const fd = lowest(process);
  state.last.file += 1;
  process.fds.set(fd, { n: state.last.file, object, mode, opener: process.id });
  return fd;
}

/** Flag 8 is BPF_F_RDONLY and flag 16 is BPF_F_WRONLY. */
export function accessMode(flags: number): number {
  if (flags === 0) return 3;
  if (flags === 8) return 1;
  return flags === 16 ? 2 : fail("EINVAL");
}

const FLAGS = [0, 8, 16, 0];

function opened(fd: number, { kind, id }: BpfObject) {
  return { fd, kind, id };
}

export const processes = {
  spawn(state: ModelState, uid: number, nofile: number) {
    state.last.session += 1;
    const { session: id } = state.last;
    state.processes.set(id, { id, uid, nofile, fds: new Map(), inbox: [] });
    return { session: { id, uid, nofile } };
  },

  fork(state: ModelState, parent: ModelProcess) {
    const { session } = processes.spawn(state, parent.uid, parent.nofile);
    const child = state.processes.get(session.id);
    if (child) child.fds = new Map(parent.fds);
    return { session: { id: session.id, uid: parent.uid, fd_count: parent.fds.size } };
  },

  exit(state: ModelState, process: ModelProcess) {
    state.processes.delete(process.id);
    return {};
  },

  kill(state: ModelState, process: ModelProcess, id: number) {
    const victim = state.processes.get(id) ?? fail("ESRCH");
    if (victim.uid !== process.uid && !isRoot(process)) fail("EPERM");
    return processes.exit(state, victim);
  },

  close(_: ModelState, process: ModelProcess, fd: number) {
    fget(process, fd);
    process.fds.delete(fd);
    return {};
  },

  dup(_: ModelState, process: ModelProcess, fd: number) {
    const file = fget(process, fd);
    const copy = lowest(process);
    process.fds.set(copy, file);
    return { fd: copy };
  },

  send(state: ModelState, process: ModelProcess, fd: number, to: number) {
    const file = fget(process, fd);
    const receiver = state.processes.get(to) ?? fail("ESRCH");
    receiver.inbox.push({ from: process.id, file });
    return {};
  },

  receive(_: ModelState, process: ModelProcess) {
    const message = process.inbox[0] ?? fail("EAGAIN");
    const fd = lowest(process);
    process.inbox.shift();
    process.fds.set(fd, message.file);
    return { ...opened(fd, message.file.object), from: message.from };
  },

  mapById(state: ModelState, process: ModelProcess, id: number, flags: number) {
    if ((flags & ~24) !== 0) fail("EINVAL");
    needAdmin(process);
    const mode = accessMode(flags);
    const map = state.maps.get(id) ?? fail("ENOENT");
    return opened(open(state, process, map, mode), map);
  },

  progById(state: ModelState, process: ModelProcess, id: number) {
    needAdmin(process);
    const prog = state.progs.get(id) ?? fail("ENOENT");
    return opened(open(state, process, prog, 3), prog);
  },

  list(_: ModelState, process: ModelProcess) {
    const rows = [...process.fds].sort(([a], [b]) => a - b);
    const fds = rows.map(([fd, { object, mode }]) => ({
      ...opened(fd, object),
      file_flags: FLAGS[mode],
    }));
    return { fds };
  },
};
