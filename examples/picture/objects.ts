import type { DemoSession } from "../client.ts";

/** Reads over HTTP what a picture shows: who holds which object, and each object's counts. */

type Kind = "map" | "prog";

export interface ObjectRef {
  kind: Kind;
  id: number;
}
export interface DrawnFd extends ObjectRef {
  fd: number;
}
export interface DrawnSession {
  label: string;
  fds: DrawnFd[];
}
export interface DrawnPin extends ObjectRef {
  path: string;
}
export interface DrawnMap {
  id: number;
  map_type: string;
  map_name: string;
  max_entries: number;
  refcnt: number;
  usercnt: number;
  /** The program in each slot of a program array. */
  slots: (number | undefined)[];
}
export interface DrawnProgram {
  id: number;
  prog_name: string;
  refcnt: number;
  map_ids: number[];
}
/** The objects of a namespace at one moment. */
export interface Moment {
  caption: string;
  sessions: DrawnSession[];
  pins: DrawnPin[];
  maps: DrawnMap[];
  progs: DrawnProgram[];
}

type Element = { key: string; value: { id: number } };

async function readPins(monitor: DemoSession): Promise<DrawnPin[]> {
  type Directory = { entries: { name: string }[] };
  const { entries } = await monitor.call<Directory>("GET", "/v1/fs?path=/");
  const paths = entries.map(({ name }) => `/${name}`);
  const stat = (path: string) =>
    monitor.call<{ type: Kind; id: number }>("GET", `/v1/fs?path=${encodeURIComponent(path)}`);
  return Promise.all(
    paths.map(async (path) => {
      const { type, id } = await stat(path);
      return { path, kind: type, id };
    }),
  );
}

/** Needs a descriptor, which counts: the counts of the map must be read before. */
async function readSlots(monitor: DemoSession, map: DrawnMap): Promise<DrawnMap["slots"]> {
  const { fd } = await monitor.call<{ fd: number }>("POST", "/v1/fds", { map_id: map.id });
  const path = `/v1/fds/${fd}/elements`;
  const { elements } = await monitor.call<{ elements: Element[] }>("GET", path);
  await monitor.close(fd);
  const slots: DrawnMap["slots"] = Array.from({ length: map.max_entries });
  for (const { key, value } of elements) slots[Buffer.from(key, "hex").readUInt32LE()] = value.id;
  return slots;
}

async function readMaps(monitor: DemoSession): Promise<DrawnMap[]> {
  const { maps } = await monitor.call<{ maps: DrawnMap[] }>("GET", "/v1/maps");
  const read: DrawnMap[] = [];
  for (const map of maps) {
    const slots = map.map_type === "prog_array" ? await readSlots(monitor, map) : [];
    read.push({ ...map, slots });
  }
  return read;
}

/** @param monitor a session of root that holds nothing and is not drawn. */
export async function readMoment(
  caption: string,
  monitor: DemoSession,
  participants: Record<string, DemoSession>,
): Promise<Moment> {
  const sessions = Object.entries(participants).map(async ([label, participant]) => {
    const { fds } = await participant.call<{ fds: DrawnFd[] }>("GET", "/v1/fds");
    return { label, fds };
  });
  const { progs } = await monitor.call<{ progs: DrawnProgram[] }>("GET", "/v1/progs");
  return {
    caption,
    sessions: await Promise.all(sessions),
    pins: await readPins(monitor),
    maps: await readMaps(monitor),
    progs,
  };
}
