import type { TraceStep } from "./trace.ts";
import { type Action, actions, result } from "./trace_actions.ts";

/** The ops of traces of BTF objects. */

/** The bytes that Linux copies from the caller: a longer size takes zeros that follow. */
function blobOf({ btf, size }: TraceStep): string {
  const bytes = Buffer.from(btf ?? "", "base64");
  if (size === undefined) return bytes.toString("base64");
  const copied = Buffer.alloc(size);
  bytes.copy(copied);
  return copied.toString("base64");
}

/** Problems have control characters as escapes. */
const withControls = (text: string): string =>
  text.replace(/\\u00([01][0-9a-f])/g, (_, code: string) =>
    String.fromCharCode(Number(`0x${code}`)),
  );

const btf_load: Action = async (player, step, proc) => {
  const session = await player.session(proc);
  const { log_level, log_size, log_count = log_size, flags, token } = step;
  const answer = await session.post("/v1/btfs", {
    btf: blobOf(step),
    ...(log_level === undefined ? {} : { btf_log_level: log_level }),
    ...(log_count === undefined ? {} : { btf_log_size: log_count }),
    ...(flags === undefined ? {} : { btf_flags: flags }),
    ...(token === undefined ? {} : { btf_token_fd: player.symbol(proc, token).fd }),
  });
  const { log = "", btf_log_true_size = 0 } = answer.body;
  const told = {
    ...(log_size ? { log: withControls(log) } : {}),
    ...(log_level ? { log_true_size: btf_log_true_size } : {}),
  };
  const done = result(answer, ({ fd, id }) => {
    player.make(step.obj ?? "", "btf", id, "btf");
    player.bind(proc, step.as, fd, "btf", id);
    return told;
  });
  return done.ok ? done : { ...done, ...told };
};

const next_id: Action = async (player, step, proc) => {
  const session = await player.session(proc);
  const object = player.objects.findLast(({ name }) => name === step.obj);
  const start = object?.id ?? step.start ?? 0;
  const answer = await session.get(`/v1/${step.kind}s?start_id=${start}&limit=1`);
  if (answer.status !== 200) return result(answer, () => ({}));
  const [found] = answer.body[`${step.kind}s`];
  if (found === undefined) return { errno: "ENOENT" };
  return { ok: { obj: player.named(step.kind, found.id)?.name ?? null } };
};

/** The objects of the trace that live, in the order of their ids. */
const list: Action = async (player, step) => {
  const observer = await player.session("observer");
  const answer = await observer.get(`/v1/${step.kind}s`);
  const rows: { id: number }[] = answer.body[`${step.kind}s`];
  const names = rows.map(({ id }) => player.named(step.kind, id)?.name);
  return { ok: { objs: names.filter((name) => name !== undefined) } };
};

/** Every fd of an object is closed by exec. */
const exec: Action = async (player, _step, proc) => {
  const session = await player.session(proc);
  const { fds } = (await session.get("/v1/fds")).body;
  for (const { fd } of fds) await session.send("DELETE", `/v1/fds/${fd}`);
  return { ok: {} };
};

Object.assign(actions, { btf_load, next_id, list, exec });
