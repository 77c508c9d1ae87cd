import type { TestReply } from "../support/service.ts";
import type { Player, TraceResult, TraceStep } from "./trace.ts";
import { btfInfo, infoRecords, knownRecordSizes, mapBtf, progBtf, roomQuery } from "./trace_btf.ts";

/** The request that each op of a trace becomes, and its answer in the terms of the trace. */
export type Action = (player: Player, step: TraceStep, proc: string) => Promise<TraceResult>;

const NOTHING = () => ({});

/** The packet of a test run that names none. */
const EMPTY_FRAME = "00".repeat(64);

export function result(
  answer: TestReply,
  ok: (body: TestReply["body"]) => Record<string, unknown>,
): TraceResult {
  if (answer.status < 300) return { ok: ok(answer.body) };
  return { errno: answer.body.errno ?? `HTTP ${answer.status}` };
}

const query = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;
const octal = (mode: number) => mode.toString(8).padStart(4, "0");
const TYPES: Record<string, string> = { directory: "dir", map: "file", prog: "file" };

function value(player: Player, proc: string, given: TraceStep["value"]) {
  if (typeof given !== "object") return given;
  const { fd } = player.symbol(proc, given.fd);
  return given.target === undefined ? { fd } : `${given.target}+u32:${fd}`;
}

/** Maps whose values are a number and a program's id. */
const TARGETS = /^(devmap|devmap_hash|cpumap)$/;

/** Replaces ids in a slot's value by the name of the object. */
function element(player: Player, step: TraceStep, proc: string, value: string | { id: number }) {
  const { object } = player.symbol(proc, step.fd);
  if (typeof value === "string") {
    if (!TARGETS.test(object?.type ?? "") || value.length !== 16) return { value };
    const prog = player.named("prog", Buffer.from(value, "hex").readUInt32LE(4));
    return { value: value.slice(0, 8), prog: prog?.name ?? null };
  }
  const kind = object?.type === "prog_array" ? "prog" : "map";
  return { obj: player.named(kind, value.id)?.name };
}

function fdPath(player: Player, step: TraceStep, proc: string): string {
  return `/v1/fds/${player.symbol(proc, step.fd).fd}`;
}

/** Without a key: an empty literal, which is how a null pointer is written. */
function elements(player: Player, step: TraceStep, proc: string): string {
  return `${fdPath(player, step, proc)}/elements/${step.key ?? "hex:"}`;
}

function batch(op: string): Action {
  return async (player, step, proc) => {
    const { keys, values, count, cursor, elem_flags = 0, flags = 0 } = step;
    const from =
      step.in === undefined || step.in === null ? cursor : player.cursors.get(`${proc} ${step.in}`);
    const session = await player.session(proc);
    const body = {
      ...{ op, keys, count, elem_flags, flags, cursor: from ?? undefined },
      values: values?.map((given: TraceStep["value"]) => value(player, proc, given)),
    };
    const answer = await session.post(`${fdPath(player, step, proc)}/batch`, body);
    const done = read(player, step, proc, answer.body);
    if (step.out) player.cursors.set(`${proc} ${step.out}`, answer.body.cursor);
    return answer.status < 300 ? { ok: done } : { errno: answer.body.errno, ...done };
  };
}

/** What a batch read; a hash's elements in any order. */
function read(player: Player, step: TraceStep, proc: string, body: TestReply["body"]) {
  if (!body.keys) return { count: body.count };
  const rows: [string, object][] = body.keys.map((key: string, i: number) => [
    key,
    element(player, step, proc, body.values[i]),
  ]);
  const { type = "" } = player.symbol(proc, step.fd).object ?? {};
  if (type.includes("hash")) rows.sort(([a], [b]) => (a < b ? -1 : 1));
  const values = rows.map(([, row]) => ("value" in row ? row.value : row));
  return { count: body.count, keys: rows.map(([key]) => key), values };
}

/** BPF_PSEUDO_MAP_FD: src_reg 1, and the fd as the immediate. */
function relocated(player: Player, step: TraceStep, proc: string): string {
  const insns = Buffer.from(step.insns, "hex");
  for (const { insn, fd } of step.relocs ?? []) {
    insns[insn * 8 + 1] = ((insns[insn * 8 + 1] ?? 0) & 15) | 16;
    insns.writeInt32LE(player.symbol(proc, fd).fd, insn * 8 + 4);
  }
  return insns.toString("hex");
}

async function open(
  player: Player,
  step: TraceStep,
  proc: string,
  body: object,
): Promise<TraceResult> {
  const session = await player.session(proc);
  return result(await session.post("/v1/fds", body), ({ fd, kind, id }) => ({
    obj: player.bind(proc, step.as, fd, kind, id),
  }));
}

/** Batches of `count` until the map ends; a bucket with more than that (ENOSPC) asks for twice as many. */
function batches(op: string): Action {
  return async (player, step, proc) => {
    const rows: [string, unknown][] = [];
    for (let { count } = step, cursor: string | undefined; ; ) {
      const next = await batch(op)(player, { ...step, count, cursor, out: "walk" }, proc);
      const done = next.ok ?? next;
      const { keys = [], values = [] } = done as { keys?: string[]; values?: unknown[] };
      for (const [i, key] of keys.entries()) rows.push([key, values[i]]);
      if (next.errno === "ENOSPC") count *= 2;
      else if (next.errno && next.errno !== "ENOENT") return next;
      else if (next.errno) break;
      else if (op === "lookup") cursor = player.cursors.get(`${proc} walk`);
    }
    rows.sort(([a], [b]) => (a < b ? -1 : 1));
    return { ok: { keys: rows.map(([key]) => key), values: rows.map(([, value]) => value) } };
  };
}

/** A step that sends one request and is answered by nothing but success. */
function plain(
  request: (step: TraceStep, player: Player, proc: string) => [string, string, unknown?],
) {
  const action: Action = async (player, step, proc) => {
    const [method, path, body] = request(step, player, proc);
    const session = await player.session(proc);
    return result(await session.send(method, path, body), NOTHING);
  };
  return action;
}

const put = (body: (step: TraceStep, player: Player, proc: string) => object): Action =>
  plain((step, player, proc) => ["PUT", query(step.path), body(step, player, proc)]);

function schema({ btf, key_type, value_type }: TraceStep): object {
  const ids = { btf_key_type_id: key_type, btf_value_type_id: value_type };
  return btf === undefined ? {} : { schema: { btf, ...ids } };
}

/** The types of a map in a BTF object. */
function types(player: Player, step: TraceStep, proc: string): object {
  if (step.btf !== undefined) return {};
  return {
    btf_fd: step.btf_fd === undefined ? 0 : player.symbol(proc, step.btf_fd).fd,
    btf_key_type_id: step.key_type ?? 0,
    btf_value_type_id: step.value_type ?? 0,
    btf_vmlinux_value_type_id: step.vmlinux_value_type ?? 0,
  };
}

export const actions: Record<string, Action> = {
  async map_create(player, step, proc) {
    const { type, key_size, value_size, max_entries, flags = 0, name = "" } = step;
    const inner = step.inner === undefined ? {} : player.symbol(proc, step.inner);
    const session = await player.session(proc);
    const answer = await session.post("/v1/maps", {
      ...{ map_type: type, key_size, value_size, max_entries },
      ...{ map_flags: flags, map_name: name, map_extra: step.map_extra ?? 0 },
      ...("fd" in inner ? { inner_map_fd: inner.fd } : {}),
      ...schema(step),
      ...types(player, step, proc),
    });
    return result(answer, ({ fd, id }) => {
      player.make(step.obj ?? "", "map", id, String(type));
      player.bind(proc, step.as, fd, "map", id);
      return {};
    });
  },

  async test_run(player, step, proc) {
    const session = await player.session(proc);
    const { data: data_in = EMPTY_FRAME, repeat } = step;
    const body = { data_in, ...(repeat ? { repeat } : {}) };
    const answer = await session.post(`${fdPath(player, step, proc)}/test-run`, body);
    return result(answer, ({ retval, data_out }) => ({
      retval,
      ...(step.data === undefined ? {} : { data: data_out }),
    }));
  },

  async prog_load(player, step, proc) {
    const session = await player.session(proc);
    const answer = await session.post("/v1/progs", {
      prog_type: step.type,
      insns: relocated(player, step, proc),
      license: step.license ?? "GPL",
      prog_name: step.name ?? "",
      prog_flags: step.flags ?? 0,
      expected_attach_type: step.attach ?? 0,
      ...infoRecords(player, step, proc),
    });
    const told = result(answer, ({ fd, id }) => {
      player.make(step.obj ?? "", "prog", id, String(step.type));
      player.bind(proc, step.as, fd, "prog", id);
      return {};
    });
    return { ...told, ...knownRecordSizes(answer) };
  },

  async lookup(player, step, proc) {
    const session = await player.session(proc);
    const value = step.value === undefined ? "" : `&value=${step.value}`;
    const query = `?flags=${step.flags ?? 0}${value}`;
    const peeks = step.key === null && player.keyless(proc, step.fd);
    const path = peeks ? `${fdPath(player, step, proc)}/peek` : elements(player, step, proc);
    const answer = await session.get(path + query);
    return result(answer, (body) => element(player, step, proc, body.value));
  },

  update: plain((step, player, proc) => {
    const body = { value: value(player, proc, step.value), flags: step.flags ?? 0 };
    const pushes = step.key === null && player.keyless(proc, step.fd);
    if (pushes) return ["POST", `${fdPath(player, step, proc)}/push`, body];
    return ["PUT", elements(player, step, proc), body];
  }),
  delete: plain((step, player, proc) => ["DELETE", elements(player, step, proc)]),
  freeze: plain((step, player, proc) => [
    "POST",
    `/v1/fds/${player.symbol(proc, step.fd).fd}/freeze`,
  ]),
  close: plain((step, player, proc) => ["DELETE", `/v1/fds/${player.symbol(proc, step.fd).fd}`]),

  async lookup_and_delete(player, step, proc) {
    const session = await player.session(proc);
    const pops = step.key === null && player.keyless(proc, step.fd);
    const path = pops
      ? `${fdPath(player, step, proc)}/pop`
      : `${elements(player, step, proc)}/take`;
    const body = step.flags === undefined ? undefined : { flags: step.flags };
    return result(await session.post(path, body), ({ value: taken }) => ({ value: taken }));
  },
  lookup_batch: batch("lookup"),
  lookup_and_delete_batch: batch("lookup_and_delete"),
  walk_batch: batches("lookup"),
  drain_batch: batches("lookup_and_delete"),
  update_batch: batch("update"),
  delete_batch: batch("delete"),

  async next_key(player, step, proc) {
    const session = await player.session(proc);
    const after = step.key === null ? "" : `?key=${step.key}`;
    const answer = await session.get(`/v1/fds/${player.symbol(proc, step.fd).fd}/next-key${after}`);
    return result(answer, ({ key }) => ({ key }));
  },

  async walk(player, step, proc) {
    const keys: string[] = [];
    for (let key: string | null = null; ; key = keys.at(-1) ?? null) {
      const next = await actions.next_key?.(player, { ...step, key }, proc);
      if (next?.errno === "ENOENT") return { ok: { keys: keys.sort() } };
      if (!next?.ok) return next ?? {};
      keys.push(String(next.ok.key));
    }
  },

  async info(player, step, proc) {
    const session = await player.session(proc);
    const query = roomQuery(step);
    const answer = await session.get(`/v1/fds/${player.symbol(proc, step.fd).fd}${query}`);
    return result(answer, (body) => {
      const obj = player.named(body.kind, body.id)?.name;
      if (body.kind === "prog") {
        const maps = body.map_ids.map((id: number) => player.named("map", id)?.name);
        return {
          kind: "prog",
          obj,
          type: body.prog_type,
          tag: body.tag,
          name: body.prog_name,
          maps,
          ...progBtf(player, step, body),
        };
      }
      if (body.kind === "btf") return btfInfo(player, step, body);
      const { kind, key_size, value_size, max_entries } = body;
      const { map_type: type, map_flags: flags, map_name: name, map_extra } = body;
      const extra = map_extra === 0 ? {} : { map_extra };
      const shape = { kind, obj, type, key_size, value_size, max_entries, flags, name, ...extra };
      return { ...shape, ...mapBtf(player, body) };
    });
  },

  obj_get: (player, step, proc) =>
    open(player, step, proc, { path: step.path, file_flags: step.file_flags ?? 0 }),

  async fd_by_id(player, step, proc) {
    const object = player.objects.findLast(({ name }) => name === step.obj);
    if (object?.kind === "btf" || step.kind === "btf") {
      const btf_id = object?.id ?? step.id;
      return open(player, step, proc, { btf_id, open_flags: step.open_flags ?? 0 });
    }
    if (object?.kind === "prog") return open(player, step, proc, { prog_id: object.id });
    const open_flags = step.open_flags ?? 0;
    return open(player, step, proc, { map_id: object?.id ?? 0, open_flags });
  },

  async dup(player, step, proc) {
    const session = await player.session(proc);
    const { fd, object } = player.symbol(proc, step.fd);
    return result(await session.post(`/v1/fds/${fd}/dup`), (body) => ({
      obj: player.bind(proc, step.as, body.fd, object?.kind ?? "", object?.id ?? 0),
    }));
  },

  async send_fd(player, step, proc) {
    // In random/58 such a receiver keeps the array alive beyond every fd that the steps name, until
    // it dies: it must have a second copy, as if forked while the recorder held the fd.
    const inherits = !player.knows(step.to);
    const [from, to] = [await player.session(proc), await player.session(step.to)];
    const { fd } = player.symbol(proc, step.fd);
    const send = () => from.post(`/v1/fds/${fd}/send`, { session: to.id });
    const sent = await send();
    if (sent.status !== 202) return result(sent, NOTHING);
    if (inherits) {
      await to.post("/v1/fds/receive");
      await send();
    }
    return result(await to.post("/v1/fds/receive"), (body) => ({
      obj: player.bind(step.to, step.as, body.fd, body.kind, body.id),
    }));
  },

  async fork(player, step, proc) {
    const session = await player.session(proc);
    const answer = await session.post("/v1/session/fork", { label: step.child });
    return result(answer, (body) => {
      player.fork(proc, step.child, session.as(body));
      return {};
    });
  },

  async exit(player, step, proc) {
    const ended = await plain(() => ["DELETE", "/v1/session"])(player, step, proc);
    player.end(proc);
    return ended;
  },

  async kill(player, step, proc) {
    const { id } = await player.session(proc);
    const killed = await plain(() => ["DELETE", `/v1/sessions/${id}`])(player, step, "observer");
    player.end(proc);
    return killed;
  },

  setids: plain(({ uid, gid }) => ["PATCH", "/v1/session", { uid, gid }]),
  umask: plain(({ mode }) => ["PATCH", "/v1/session", { umask: octal(mode) }]),

  obj_pin: put(({ fd, file_flags = 0 }, player, proc) => ({
    type: "pin",
    fd: player.symbol(proc, fd).fd,
    file_flags,
  })),
  mkdir: put(({ mode = 0o777 }) => ({ type: "directory", mode: octal(mode) })),
  symlink: put(({ target }) => ({ type: "symlink", target })),
  link: plain(({ path, to }) => ["PUT", query(to), { type: "link", from: path }]),
  unlink: plain(({ path }) => ["DELETE", query(path)]),
  rmdir: plain(({ path }) => ["DELETE", `${query(path)}&type=directory`]),
  rename: plain(({ path, to }) => ["POST", "/v1/rename", { from: path, to }]),
  chmod: plain(({ path, mode }) => ["PATCH", query(path), { mode: octal(mode) }]),
  chown: plain(({ path, uid, gid }) => ["PATCH", query(path), { uid, gid }]),

  async stat(player, step, proc) {
    const session = await player.session(proc);
    const answer = await session.get(`${query(step.path)}&follow=false`);
    return result(answer, ({ type, mode, uid, gid, nlink }) => ({
      ...{ type: TYPES[type] ?? type, mode, uid, gid, nlink },
    }));
  },

  async readdir(player, step, proc) {
    const session = await player.session(proc);
    const answer = await session.get(query(step.path));
    if (answer.status === 200 && answer.body.type !== "directory") return { errno: "ENOTDIR" };
    return result(answer, ({ entries }) => ({
      entries: entries.map(({ name }: { name: string }) => name),
    }));
  },

  async observe(player) {
    const observer = await player.session("observer");
    const alive: string[] = [];
    for (const { name, kind, id } of player.objects) {
      if ((await observer.get(`/v1/${kind}s/${id}`)).status === 200) alive.push(name);
    }
    return { ok: { alive: alive.sort() } };
  },
};
