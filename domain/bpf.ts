import { Errno, type ErrnoName } from "./errno.ts";
import * as info from "./info.ts";
import { type Argument, connect, Script, type Value } from "./script.ts";
import { type Caller, Tokens } from "./token.ts";
import { check, type Options, tag } from "./verifier/verifier.ts";

/**
 * The door to the domain: every command of the service, one method each, as bpf(2)'s man page lists
 * them. A method resolves to what the command answers, or rejects with an Errno or another failure
 * of errno.ts. Sizes are bytes, times ms.
 */

/** Who calls, and the record under which a repeat of the request finds its first answer. */
export interface Call extends Caller {
  record: string;
  fingerprint: string;
}

export interface Credentials {
  label: string;
  ttl_ms: number;
  uid: number;
  gid: number;
  groups: number[];
  /** "*" for all. */
  capabilities: string[] | "*";
  umask: number;
  nofile: number;
}

export interface MapAttr {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_name: string;
  map_extra: string;
}

export interface ProgAttr {
  prog_type: string;
  license: string;
  prog_name: string;
  prog_flags: number;
  expected_attach_type: number;
  log_level: number;
  fd_array: number[] | undefined;
}

export interface Opened {
  fd: number;
  kind: string;
  id: number;
}

export interface Element {
  key: Buffer;
  value: Buffer;
}

type Changes = Partial<Pick<Credentials, "uid" | "gid" | "groups" | "umask" | "ttl_ms">>;
type Attributes = { mode?: number; uid?: number; gid?: number };

const commas = (values: readonly (string | number)[]) => `,${values.map((v) => `${v},`).join("")}`;
const optional = (value: number | undefined) => (value === undefined ? "" : value);
const opened = ([fd, kind, id]: Value[]): Opened => ({
  fd: info.number(fd),
  kind: info.text(kind),
  id: info.number(id),
});
const created = ([fd, id]: Value[]) => ({ fd: info.number(fd), id: info.number(id) });
const next = (value: Value | undefined) => (value === null ? {} : { next: info.number(value) });
const bytes = (value: Value | undefined) => value as Buffer;

export class Kernel {
  readonly script: Script;
  readonly tokens: Tokens;
  /** Told the namespaces whose freeing a sweeper should go on with at once. */
  onWorkLeft: (namespace: string) => void = () => {};
  /** Told the namespaces that have a new session. */
  onSession: (namespace: string) => void = () => {};

  /** @param secret at least 32 bytes, the same in every replica. */
  constructor(script: Script, secret: Buffer) {
    this.script = script;
    this.tokens = new Tokens(secret);
  }

  async #run(call: Call, command: string, ...args: Argument[]): Promise<Value[]> {
    const { namespace, sid, hash, record, fingerprint } = call;
    const answer = await this.script.run(
      namespace,
      command,
      sid,
      hash,
      record,
      fingerprint,
      ...args,
    );
    if (answer.workLeft) this.onWorkLeft(namespace);
    return answer.values;
  }

  #born(namespace: string, [fields, seed]: Value[]) {
    const session = info.sessionInfo(namespace, fields);
    this.onSession(namespace);
    return { session, token: this.tokens.write(namespace, session.id, info.text(seed)) };
  }

  // Sessions

  async sessionCreate(call: Call, c: Credentials) {
    const seed = this.tokens.newSeed();
    const caps = c.capabilities === "*" ? "*" : commas(c.capabilities);
    const groups = commas(c.groups);
    const hash = this.tokens.hash(call.namespace, seed);
    return this.#born(
      call.namespace,
      await this.#run(
        call,
        "session_create",
        ...[seed, hash, c.label, c.ttl_ms, c.uid, c.gid, groups, caps, c.umask, c.nofile],
      ),
    );
  }

  async fork(call: Call, label: string, ttl: number | undefined) {
    const seed = this.tokens.newSeed();
    const hash = this.tokens.hash(call.namespace, seed);
    const values = await this.#run(call, "fork", seed, hash, label, optional(ttl));
    return this.#born(call.namespace, values);
  }

  async sessionGet(call: Call) {
    return info.sessionInfo(call.namespace, (await this.#run(call, "session_get"))[0]);
  }

  async sessionSet(call: Call, c: Changes) {
    const groups = c.groups ? commas(c.groups) : "";
    const changes = [
      optional(c.uid),
      optional(c.gid),
      groups,
      optional(c.umask),
      optional(c.ttl_ms),
    ];
    return info.sessionInfo(call.namespace, (await this.#run(call, "session_set", ...changes))[0]);
  }

  async sessionRenew(call: Call) {
    return { expires_at: info.time((await this.#run(call, "session_renew"))[0]) };
  }

  async sessionList(call: Call, start: number, limit: number) {
    const [page, more] = await this.#run(call, "session_list", start, limit);
    const sessions = info.list(page).map((fields) => info.sessionInfo(call.namespace, fields));
    return { sessions, ...next(more ?? null) };
  }

  exit = (call: Call) => this.#run(call, "exit");
  kill = (call: Call, sid: number) => this.#run(call, "kill", sid);

  // File descriptors

  async fdList(call: Call, start: number, limit: number) {
    const [flat, more] = await this.#run(call, "fd_list", start, limit);
    const rows = info.list(flat);
    const fds = Array.from({ length: rows.length / 4 }, (_, i) => ({
      ...opened(rows.slice(4 * i)),
      file_flags: info.number(rows[4 * i + 3]),
    }));
    return { fds, ...next(more ?? null) };
  }

  async objGetInfoByFd(call: Call, fd: number) {
    const [kind, id, fields, flags] = await this.#run(call, "obj_get_info_by_fd", fd);
    const object = info.objectInfo(info.text(kind), info.number(id), fields);
    return { ...object, fd, file_flags: info.number(flags) };
  }

  close = (call: Call, fd: number) => this.#run(call, "close", fd);

  async dup(call: Call, fd: number) {
    return { fd: info.number((await this.#run(call, "dup", fd))[0]) };
  }

  sendmsg = (call: Call, fd: number, to: number) => this.#run(call, "sendmsg", fd, to);

  async recvmsg(call: Call) {
    const values = await this.#run(call, "recvmsg");
    return { ...opened(values), from: info.number(values[3]) };
  }

  objGet = async (call: Call, path: string, flags: number) =>
    opened(await this.#run(call, "obj_get", path, flags));
  mapGetFdById = async (call: Call, id: number, flags: number) =>
    opened(await this.#run(call, "map_get_fd_by_id", id, flags));
  progGetFdById = async (call: Call, id: number) =>
    opened(await this.#run(call, "prog_get_fd_by_id", id));

  // Maps

  mapCreate = async (call: Call, a: MapAttr) =>
    created(
      await this.#run(
        call,
        "map_create",
        ...[a.map_type, a.key_size, a.value_size, a.max_entries, a.map_flags, a.map_name],
        a.map_extra,
      ),
    );

  async mapGetNextId(call: Call, start: number, limit: number) {
    const [page, more] = await this.#run(call, "map_get_next_id", start, limit);
    const maps = info.list(page).map((row) => {
      const [id, fields] = info.list(row);
      return info.mapInfo(info.number(id), fields);
    });
    return { maps, ...next(more ?? null) };
  }

  async mapGet(call: Call, id: number) {
    const [fields, rows, more] = await this.#run(call, "map_get", id);
    return { ...info.mapInfo(id, fields), holders: info.holders(rows, more === 1) };
  }

  mapFreeze = (call: Call, fd: number) => this.#run(call, "map_freeze", fd);

  // Elements

  /** `id`: the value is the id of the object in the slot. */
  async mapLookupElem(call: Call, fd: number, key: Buffer, flags: number) {
    const [value, id] = await this.#run(call, "map_lookup_elem", fd, key, flags);
    return { value: bytes(value), id: id === 1 };
  }

  mapUpdateElem = (call: Call, fd: number, key: Buffer, value: Buffer, flags: number) =>
    this.#run(call, "map_update_elem", fd, key, value, flags);

  mapDeleteElem = (call: Call, fd: number, key: Buffer) =>
    this.#run(call, "map_delete_elem", fd, key);

  async mapLookupAndDeleteElem(call: Call, fd: number, key: Buffer, flags: number) {
    return bytes((await this.#run(call, "map_lookup_and_delete_elem", fd, key, flags))[0]);
  }

  async mapGetNextKey(call: Call, fd: number, key: Buffer | undefined) {
    const has = key ? 1 : 0;
    return bytes((await this.#run(call, "map_get_next_key", fd, has, key ?? ""))[0]);
  }

  async mapDump(call: Call, fd: number, cursor: Buffer | undefined, limit: number) {
    const [page, rest, ids] = await this.#run(call, "map_dump", fd, cursor ?? "", limit);
    const elements = info.pairs(page).map(([key, value]) => ({
      key: bytes(key),
      value: bytes(value),
    }));
    return { elements, cursor: (rest as Buffer | null) ?? undefined, ids: ids === 1 };
  }

  // Programs

  /** @returns the log too: empty for a program that is accepted. */
  async progLoad(call: Call, attr: ProgAttr, insns: Buffer) {
    const { fd_array, ...stored } = attr;
    const options: Options = { progType: attr.prog_type, logLevel: attr.log_level };
    const verdict = check(
      insns,
      fd_array ? { ...options, fdArrayLength: fd_array.length } : options,
    );
    const refs = verdict.refs.map(({ kind, value, ...ref }) => ({
      ...ref,
      fd: kind === "fd" ? value : (fd_array?.[value] ?? -1),
    }));
    const judged = JSON.stringify({ ...verdict, refs, tag: tag(insns) }, (_, v) => v ?? undefined);
    const values = await this.#run(call, "prog_load", JSON.stringify(stored), insns, judged);
    return { ...created(values), log: "" };
  }

  async progGetNextId(call: Call, start: number, limit: number) {
    const [page, more] = await this.#run(call, "prog_get_next_id", start, limit);
    const progs = info.list(page).map((row) => {
      const [id, fields] = info.list(row);
      return info.progInfo(info.number(id), fields);
    });
    return { progs, ...next(more ?? null) };
  }

  async progGet(call: Call, id: number) {
    const [fields, rows, more] = await this.#run(call, "prog_get", id);
    return { ...info.progInfo(id, fields), holders: info.holders(rows, more === 1) };
  }

  progBindMap = (call: Call, fd: number, mapFd: number, flags: number) =>
    this.#run(call, "prog_bind_map", fd, mapFd, flags);

  // The bpffs tree

  objPin = async (call: Call, path: string, fd: number, flags: number) =>
    info.nodeInfo(await this.#run(call, "obj_pin", path, fd, flags));
  mkdir = async (call: Call, path: string, mode: number) =>
    info.nodeInfo(await this.#run(call, "mkdir", path, mode));
  symlink = async (call: Call, path: string, target: string) =>
    info.nodeInfo(await this.#run(call, "symlink", path, target));
  link = async (call: Call, path: string, from: string) =>
    info.nodeInfo(await this.#run(call, "link", path, from));

  /** `cursor`: what an earlier page gave as next. */
  async stat(call: Call, path: string, how: StatOptions): Promise<info.NodeInfo> {
    const [, ino = "0", name = ""] = /^(\d+) (.*)$/s.exec(how.cursor) ?? [];
    const flags = [how.follow ? 1 : 0, how.entries ? 1 : 0];
    const values = await this.#run(call, "stat", path, ...flags, ino, name, how.limit);
    const node = info.nodeInfo(values.slice(2));
    if (node.type !== "directory" || values[0] === null) return node;
    const entries = info
      .pairs(values[0])
      .map(([entry, type]) => ({ bytes: bytes(entry), type: info.text(type) }))
      .sort((a, b) => a.bytes.compare(b.bytes))
      .map((entry) => ({ name: entry.bytes.toString(), type: entry.type }));
    return { ...node, entries, ...(values[1] === null ? {} : { next: info.text(values[1]) }) };
  }

  setattr = async (call: Call, path: string, a: Attributes) =>
    info.nodeInfo(
      await this.#run(call, "setattr", path, optional(a.mode), optional(a.uid), optional(a.gid)),
    );

  unlink = (call: Call, path: string) => this.#run(call, "unlink", path);
  rmdir = (call: Call, path: string) => this.#run(call, "rmdir", path);
  unlinkTree = (call: Call, path: string) => this.#run(call, "unlink_tree", path);
  rename = (call: Call, from: string, to: string) => this.#run(call, "rename", from, to);

  // The service's own

  /** A sweeper's turn. `allowance`: ms that may pass until anybody's next one. */
  async sweep(namespace: string, allowance: number) {
    const answer = await this.script.run(namespace, "sweep", "", "", "", "", allowance);
    const [more, sessions] = answer.values;
    return { workLeft: answer.workLeft || more === 1, sessions: info.number(sessions) };
  }
}

export interface StatOptions {
  follow: boolean;
  entries: boolean;
  cursor: string;
  limit: number;
}

/** @param deadline ms after which a call of Redis counts as lost. */
export function createKernel(url: string, secret: Buffer, deadline = 1000): Kernel {
  return new Kernel(new Script(connect(url), deadline), secret);
}

export function einval(detail: string, pointer: string): Errno {
  return new Errno("EINVAL" satisfies ErrnoName, detail, { pointer });
}
