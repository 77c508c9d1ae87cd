import type { ModelCall, ModelRequest, ModelRun } from "./model_run.ts";
import type { BpfObject, ModelProcess } from "./state.ts";

/**
 * Chooses the arguments of a random call from the objects that exist when the call is made. The
 * choices are small numbers, so that any part of a run is itself a run, and shrinking works.
 */

export type Play = (world: ModelRun, process: ModelProcess, args: ModelArgs) => Promise<unknown>;

export interface ModelArgs {
  who: number;
  fd: number;
  other: number;
  id: number;
  key: number;
  flags: number;
  path: string;
  to: string;
  bits: number;
}

export const INIT = 1;
/** At most this many processes live at a time. */
export const CROWD = 5;
export const ABSENT_FD = 99;

/** Directories are created at these paths. */
export const FOLDERS = ["/d", "/d", "/d/e", "/a"];
/** These access flags include valid and invalid ones. */
export const FLAGS = [0, 0, 8, 16, 24, 1, 32, 0];

/** Chooses a living process, or rarely one that has ended. */
export function actor(world: ModelRun, who: number): ModelProcess {
  const alive = world.model.processes;
  const gone = { id: INIT, uid: 0, nofile: 0, fds: new Map(), inbox: [] };
  for (let id = 2; who < 0 && id <= world.model.state.last.session; id++) {
    if (!world.model.state.processes.has(id)) return { ...gone, id };
  }
  return alive[Math.abs(who) % alive.length] ?? gone;
}

/**
 * Chooses an fd of the process, of the given kind if possible; else a standard stream or an invalid
 * fd.
 */
export function pick(
  process: ModelProcess,
  n: number,
  kind?: BpfObject["kind"],
  type?: string,
): number {
  if (n < 0) return n === -1 ? 0 : ABSENT_FD;
  const all = [...process.fds].sort(([a], [b]) => a - b);
  const fits = all.filter(
    ([, { object }]) => object.kind === kind && (type ?? object.type) === object.type,
  );
  const among = kind && n < 6 && fits.length > 0 ? fits : all;
  return among[n % among.length]?.[0] ?? ABSENT_FD;
}

export function pickId(objects: Map<number, unknown>, n: number): number {
  const ids = [...objects.keys()];
  return n < 0 ? 77 : (ids[n % ids.length] ?? 0);
}

export const hexKey = (n: number) => (n === 3 ? "00" : `0${n}000000`);
export const fs = (name: string, more = "") => `/v1/fs?path=${encodeURIComponent(name)}${more}`;

/** Makes one call of the process that chose its arguments. */
export function simple(
  make: (process: ModelProcess, args: ModelArgs, world: ModelRun) => [ModelCall, ModelRequest],
): Play {
  return (world, process, args) => world.call(process.id, ...make(process, args, world));
}
