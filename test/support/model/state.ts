/**
 * Holds the state of the model: processes, objects, the tree. The model stores no counts: a
 * reference holds an object, and a count is the number of references found.
 */

/** The call failed and changed nothing. */
export class Failure extends Error {
  readonly errno: string;

  constructor(errno: string) {
    super(errno);
    this.errno = errno;
  }
}

export function fail(errno: string): never {
  throw new Failure(errno);
}

export interface MapObject {
  kind: "map";
  id: number;
  type: string;
  valueSize: number;
  maxEntries: number;
  flags: number;
  name: string;
  frozen: boolean;
  /** The values by key, in hex; for an array only the values that were written. */
  elements: Map<string, string>;
  /** The programs in a program array. */
  slots: Map<number, ProgObject>;
  /** The type of all programs in a program array. */
  owner: string | undefined;
}

export interface ProgObject {
  kind: "prog";
  id: number;
  type: string;
  uid: number;
  maps: MapObject[];
}

export type BpfObject = MapObject | ProgObject;

/** Bit 1 of mode means reading and bit 2 writing. */
export interface OpenFile {
  n: number;
  object: BpfObject;
  mode: number;
  opener: number;
}

export interface ModelProcess {
  id: number;
  uid: number;
  nofile: number;
  fds: Map<number, OpenFile>;
  /** The files in flight to this process. */
  inbox: { from: number; file: OpenFile }[];
}

export interface ModelNode {
  ino: number;
  kind: "directory" | "symlink" | "map" | "prog";
  mode: number;
  uid: number;
  names: Map<string, ModelNode>;
  object?: BpfObject;
  target?: string;
}

export interface ModelState {
  last: { session: number; file: number; inode: number; map: number; prog: number };
  processes: Map<number, ModelProcess>;
  maps: Map<number, MapObject>;
  progs: Map<number, ProgObject>;
  root: ModelNode;
}

export function newState(): ModelState {
  return {
    last: { session: 0, file: 0, inode: 1, map: 0, prog: 0 },
    processes: new Map(),
    maps: new Map(),
    progs: new Map(),
    root: { ino: 1, kind: "directory", mode: 0o1777, uid: 0, names: new Map() },
  };
}

/** Lists every name of the tree with its node; the root has no name. */
export function allNames(dir: ModelNode, path = ""): [string, ModelNode][] {
  return [...dir.names].flatMap(([name, node]): [string, ModelNode][] => [
    [`${path}/${name}`, node],
    ...allNames(node, `${path}/${name}`),
  ]);
}

/** Lists everything that shares an open file: fds and messages in flight. */
export function allSharers(state: ModelState): OpenFile[] {
  return [...state.processes.values()].flatMap((process) => [
    ...process.fds.values(),
    ...process.inbox.map((message) => message.file),
  ]);
}

const order = (a: number, b: number) => a - b;

/** Lists the holders of an object in the terms of the service. */
export function holders(state: ModelState, object: BpfObject) {
  const sharers = allSharers(state).filter((file) => file.object === object);
  const files = [...new Set(sharers)].map((file) => ({
    file: file.n,
    session: file.opener,
    references: sharers.filter((sharer) => sharer === file).length,
  }));
  const pins = allNames(state.root).filter(([, node]) => node.object === object);
  const inodes = [...new Set(pins.map(([, node]) => node.ino))];
  const users = [...state.progs.values()].filter((prog) => prog.maps.some((map) => map === object));
  const slots = [...state.maps.values()].map((map) => ({
    map_id: map.id,
    count: [...map.slots.values()].filter((prog) => prog === object).length,
  }));
  return {
    files: files.sort((a, b) => a.file - b.file),
    inodes: inodes.sort(order),
    progs: users.map((prog) => prog.id).sort(order),
    slots: slots.filter(({ count }) => count > 0),
  };
}

export function usercnt(state: ModelState, object: BpfObject): number {
  const { files, inodes } = holders(state, object);
  return files.length + inodes.length;
}

export function refcnt(state: ModelState, object: BpfObject): number {
  const { files, inodes, progs, slots } = holders(state, object);
  const filled = slots.reduce((sum, { count }) => sum + count, 0);
  return files.length + inodes.length + progs.length + filled;
}

/** Flushes one map or frees one object; returns false if nothing is left to do. */
function step(state: ModelState): boolean {
  for (const map of state.maps.values()) {
    if (map.slots.size > 0 && usercnt(state, map) === 0) {
      map.slots.clear();
      return true;
    }
    if (refcnt(state, map) === 0) return state.maps.delete(map.id);
  }
  for (const prog of state.progs.values()) {
    if (refcnt(state, prog) === 0) return state.progs.delete(prog.id);
  }
  return false;
}

/** Flushes maps without users and frees objects without holders until nothing more follows. */
export function settle(state: ModelState): void {
  while (step(state));
}
