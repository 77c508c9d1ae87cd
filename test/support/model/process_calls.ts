import { actor, CROWD, FLAGS, INIT, type Play, pick, pickId, simple } from "./choice.ts";
import { calls } from "./model.ts";
import type { ModelCall } from "./model_run.ts";

/** Makes random calls on fds, ids and processes. */

const NOFILE = [4, 5, 7, 1024];

export const processCalls: Record<string, [weight: number, play: Play]> = {
  info: [
    4,
    simple((p, a) => {
      const fd = pick(p, a.fd);
      return [(s, q) => calls.info(s, q, fd), ["GET", `/v1/fds/${fd}`]];
    }),
  ],
  byId: [
    6,
    simple((_, a, { model: { state } }) => {
      const open_flags = FLAGS[a.flags] ?? 0;
      if (a.bits === 0) {
        const prog_id = pickId(state.progs, a.id);
        return [(s, q) => calls.progById(s, q, prog_id), ["POST", "/v1/fds", { prog_id }]];
      }
      const map_id = pickId(state.maps, a.id);
      return [
        (s, q) => calls.mapById(s, q, map_id, open_flags),
        ["POST", "/v1/fds", { map_id, open_flags }],
      ];
    }),
  ],
  object: [
    3,
    simple((_, a, { model: { state } }) => {
      const kind = a.bits % 2 ? "map" : "prog";
      const id = pickId(state[`${kind}s`], a.id);
      return [(s, q) => calls.objectById(s, q, kind, id), ["GET", `/v1/${kind}s/${id}`]];
    }),
  ],
  close: [
    12,
    simple((p, a) => {
      const fd = pick(p, a.fd);
      return [(s, q) => calls.close(s, q, fd), ["DELETE", `/v1/fds/${fd}`]];
    }),
  ],
  dup: [
    4,
    simple((p, a) => {
      const fd = pick(p, a.fd);
      return [(s, q) => calls.dup(s, q, fd), ["POST", `/v1/fds/${fd}/dup`]];
    }),
  ],
  send: [
    4,
    simple((p, a, world) => {
      const [fd, session] = [pick(p, a.fd), a.other < 0 ? 77 : actor(world, a.other).id];
      return [(s, q) => calls.send(s, q, fd, session), ["POST", `/v1/fds/${fd}/send`, { session }]];
    }),
  ],
  receive: [
    5,
    (world, process, args) => {
      const waiting = world.model.processes.find(({ inbox }) => inbox.length > 0);
      const receiver = args.bits > 0 ? (waiting ?? process) : process;
      return world.call(receiver.id, calls.receive, ["POST", "/v1/fds/receive"]);
    },
  ],
  spawn: [
    2,
    async (world, _, a) => {
      if (world.model.processes.length >= CROWD) return;
      await world.spawn(a.flags > 2 ? 1000 : 0, NOFILE[a.bits] ?? 0);
    },
  ],
  fork: [
    3,
    async (world, process, a) => {
      if (world.model.processes.length >= CROWD) return;
      await simple(() => [calls.fork, ["POST", "/v1/session/fork"]])(world, process, a);
    },
  ],
  exit: [
    3,
    async (world, process, a) => {
      if (process.id === INIT) return;
      await simple(() => [calls.exit, ["DELETE", "/v1/session"]])(world, process, a);
    },
  ],
  kill: [
    3,
    async (world, process, a) => {
      const id = a.other < 0 ? 77 : actor(world, a.other).id;
      if (id === INIT && process.uid === 0) return;
      const call: ModelCall = (s, q) => calls.kill(s, q, id);
      await world.call(process.id, call, ["DELETE", `/v1/sessions/${id}`]);
    },
  ],
  observe: [2, (world) => world.observe(INIT)],
};
