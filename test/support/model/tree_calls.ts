import { FLAGS, FOLDERS, fs, type Play, pick, simple } from "./choice.ts";
import { calls } from "./model.ts";
import type { ModelCall } from "./model_run.ts";

/** Makes random calls on the bpffs tree. */

const MODES = [0o755, 0o1777, 0, 0o700];

export const treeCalls: Record<string, [weight: number, play: Play]> = {
  pin: [
    9,
    simple((p, { path: at, ...a }) => {
      const [fd, file_flags] = [pick(p, a.fd), a.flags === 7 ? 8 : 0];
      const body = { type: "pin", fd, file_flags };
      return [(s, q) => calls.pin(s, q, at, fd, file_flags), ["PUT", fs(at), body]];
    }),
  ],
  get: [
    7,
    simple((_, { path: at, ...a }) => {
      const file_flags = FLAGS[a.flags] ?? 0;
      return [
        (s, q) => calls.get(s, q, at, file_flags),
        ["POST", "/v1/fds", { path: at, file_flags }],
      ];
    }),
  ],
  mkdir: [
    5,
    simple((_, { path: any, key, bits }) => {
      const at = bits > 0 ? (FOLDERS[key] ?? any) : any;
      const body = { type: "directory" };
      return [(s, q) => calls.mkdir(s, q, at, 0o777), ["PUT", fs(at), body]];
    }),
  ],
  link: [
    4,
    simple((_, { path: at, to: from }) => {
      return [(s, q) => calls.link(s, q, at, from), ["PUT", fs(at), { type: "link", from }]];
    }),
  ],
  rename: [
    6,
    simple((_, { path: from, to }) => {
      return [(s, q) => calls.rename(s, q, from, to), ["POST", "/v1/rename", { from, to }]];
    }),
  ],
  unlink: [6, simple((_, { path: at }) => [(s, q) => calls.unlink(s, q, at), ["DELETE", fs(at)]])],
  rmdir: [
    3,
    simple((_, { path: at }) => [
      (s, q) => calls.rmdir(s, q, at),
      ["DELETE", fs(at, "&type=directory")],
    ]),
  ],
  unlinkTree: [
    1,
    async (world, { uid, id }, { path: at }) => {
      if (uid !== 0) return;
      const call: ModelCall = (s, q) => calls.unlinkTree(s, q, at);
      await world.call(id, call, ["DELETE", fs(at, "&recursive=true")]);
    },
  ],
  chmod: [
    2,
    simple((_, { path: at, bits }) => {
      const mode = MODES[bits] ?? 0;
      const body = { mode: mode.toString(8).padStart(4, "0") };
      return [(s, q) => calls.chmod(s, q, at, mode), ["PATCH", fs(at), body]];
    }),
  ],
  lstat: [
    3,
    simple((_, { path: at }) => [
      (s, q) => calls.lstat(s, q, at),
      ["GET", fs(at, "&follow=false&entries=false")],
    ]),
  ],
};

/** For a symlink, `to` is the target text, not a path to look up. */
export const symlink: Play = simple((_, { path: at, to }) => [
  (s, q) => calls.symlink(s, q, at, to),
  ["PUT", fs(at), { type: "symlink", target: to }],
]);
