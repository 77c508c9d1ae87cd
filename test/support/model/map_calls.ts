import { RETURN_ZERO, wide } from "../insns.ts";
import { hexKey, type Play, pick, simple } from "./choice.ts";
import { calls } from "./model.ts";
import type { ModelCall, ModelRun } from "./model_run.ts";
import type { ModelProcess } from "./state.ts";

/** Makes random calls on maps, their elements, and programs. */

/** Encodes a program of one ld_imm64 r1 per map fd, then r0 = 0; exit. */
export const naming = (fds: number[]): string =>
  Buffer.concat([...fds.map((fd) => wide(1, 1, fd, 0)), RETURN_ZERO]).toString("hex");

const MAPS = [
  { map_type: "prog_array", max_entries: 2 },
  { map_type: "hash", max_entries: 2 },
  { map_type: "array", max_entries: 2 },
  { map_type: "prog_array", max_entries: 1 },
];
/** These variants make MAP_CREATE fail, or make its fd read-only or write-only. */
const VARIANTS = [
  ...[{}, {}, {}, {}, {}, {}, { map_flags: 8 }, { map_flags: 16 }, { map_flags: 24 }],
  ...[{ max_entries: 0 }, { value_size: 8 }, { map_name: "a-b" }, { map_flags: 1 }],
];

function mapCreate(world: ModelRun, { id }: ModelProcess, n: number, variant: number) {
  const common = { key_size: 4, value_size: 4, map_flags: 0, map_name: `m${n}` };
  const attr = {
    ...common,
    ...(MAPS[n] ?? { map_type: "hash", max_entries: 1 }),
    ...VARIANTS[variant],
  };
  return world.call(id, (s, p) => calls.mapCreate(s, p, attr), ["POST", "/v1/maps", attr]);
}

function progLoad(world: ModelRun, { id }: ModelProcess, fds: number[], type: string) {
  const body = { insns: naming(fds), prog_type: type };
  return world.call(id, (s, p) => calls.progLoad(s, p, type, fds), ["POST", "/v1/progs", body]);
}

function update(
  world: ModelRun,
  process: ModelProcess,
  fd: number,
  key: string,
  other: number,
  flags: number,
) {
  const object = process.fds.get(fd)?.object;
  const slot = object?.kind === "map" && object.type === "prog_array";
  const text = String(other).padStart(8, "0");
  const call: ModelCall = (s, p) => calls.update(s, p, fd, key, slot ? other : text, flags);
  const body = { value: slot ? { fd: other } : text, flags };
  return world.call(process.id, call, ["PUT", `/v1/fds/${fd}/elements/${key}`, body]);
}

const last = (process: ModelProcess) => Math.max(0, process.fds.size - 1);

/** Builds a reference cycle: a program array that holds a program that names the array. */
async function cycle(world: ModelRun, process: ModelProcess): Promise<void> {
  await mapCreate(world, process, 0, 0);
  const array = pick(process, last(process));
  await progLoad(world, process, [array], "sched_cls");
  const prog = pick(process, last(process));
  await update(world, process, array, hexKey(0), prog, 0);
}

const TYPES = ["sched_cls", "sched_cls", "sched_cls", "xdp"];

export const mapCalls: Record<string, [weight: number, play: Play]> = {
  mapCreate: [12, (w, p, a) => mapCreate(w, p, a.key, Math.abs(a.id + a.bits))],
  progLoad: [
    7,
    (w, p, a) => {
      const fds = [pick(p, a.fd, "map", "prog_array"), pick(p, a.other, "map")].slice(0, a.key % 3);
      return progLoad(w, p, fds, TYPES[a.bits] ?? "");
    },
  ],
  cycle: [8, cycle],
  update: [
    9,
    (w, p, a) => {
      const fd = pick(p, a.fd, "map", a.bits > 0 ? "prog_array" : undefined);
      return update(w, p, fd, hexKey(a.key), pick(p, a.other, "prog"), a.flags);
    },
  ],
  lookup: [
    4,
    simple((p, a) => {
      const [fd, key] = [pick(p, a.fd, "map"), hexKey(a.key)];
      return [(s, q) => calls.lookup(s, q, fd, key), ["GET", `/v1/fds/${fd}/elements/${key}`]];
    }),
  ],
  delete: [
    3,
    simple((p, a) => {
      const [fd, key] = [pick(p, a.fd, "map"), hexKey(a.key)];
      return [(s, q) => calls.delete(s, q, fd, key), ["DELETE", `/v1/fds/${fd}/elements/${key}`]];
    }),
  ],
  take: [
    2,
    simple((p, a) => {
      const [fd, key] = [pick(p, a.fd, "map"), hexKey(a.key)];
      return [(s, q) => calls.take(s, q, fd, key), ["POST", `/v1/fds/${fd}/elements/${key}/take`]];
    }),
  ],
  nextKey: [
    2,
    simple((p, a) => {
      const fd = pick(p, a.fd, "map");
      const key = a.flags > 3 ? undefined : hexKey(a.key);
      const query = key === undefined ? "" : `?key=${key}`;
      return [(s, q) => calls.nextKey(s, q, fd, key), ["GET", `/v1/fds/${fd}/next-key${query}`]];
    }),
  ],
  freeze: [
    1,
    simple((p, a) => {
      const fd = pick(p, a.fd, "map");
      return [(s, q) => calls.freeze(s, q, fd), ["POST", `/v1/fds/${fd}/freeze`]];
    }),
  ],
  bindMap: [
    3,
    simple((p, a) => {
      const [fd, map_fd] = [pick(p, a.fd, "prog"), pick(p, a.other, "map")];
      return [
        (s, q) => calls.bindMap(s, q, fd, map_fd),
        ["POST", `/v1/fds/${fd}/bind-map`, { map_fd }],
      ];
    }),
  ],
};
