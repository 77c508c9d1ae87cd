import { CAPABILITIES } from "../capabilities.ts";
import { Errno } from "../errno.ts";
import { type Call, joinSet, optional, type RunCommand } from "../redis/command.ts";
import { CRED, SESSION_INFO } from "../redis/records.ts";
import { list, nameFields, number, octal, text, time } from "../redis/reply.ts";
import type { Argument, RedisValue } from "../redis/script.ts";
import type { Tokens } from "../token.ts";
import { nextCursor, type PageRequest, readCursor } from "./cursor.ts";

/** Commands that create, fork, renew, change and end sessions. Times are ms. */

export interface Credentials {
  label: string;
  ttl_ms: number;
  uid: number;
  gid: number;
  groups: number[];
  /** "*" means all capabilities. */
  capabilities: string[] | "*";
  umask: number;
  nofile: number;
  /** Possible CPUs of the namespace, which its first session chooses. */
  cpus?: number | undefined;
}

export type SessionChanges = Partial<
  Pick<Credentials, "uid" | "gid" | "groups" | "umask" | "ttl_ms">
>;

export interface SessionPageRequest extends PageRequest {
  /** Lists sessions with this label alone. */
  label?: string | undefined;
}

export interface SessionInfo {
  id: number;
  namespace: string;
  label: string;
  uid: number;
  gid: number;
  groups: number[];
  capabilities: string[];
  umask: string;
  ttl_ms: number;
  nofile: number;
  created_at: string;
  expires_at: string;
  fd_count: number;
  /** Possible CPUs of the namespace, which is the number of parts of a per-CPU value. */
  cpus: number;
}

function words(between: string): string[] {
  return between.split(",").filter(Boolean);
}

function sessionInfo(namespace: string, value: RedisValue | undefined): SessionInfo {
  const session = nameFields(SESSION_INFO, list(value));
  const caps = text(session.caps);
  return {
    id: number(session.id),
    namespace,
    label: text(session.label),
    uid: number(session.uid),
    gid: number(session.gid),
    groups: words(text(session.groups)).map(Number),
    capabilities: caps === "*" ? [...CAPABILITIES] : words(caps),
    umask: octal(text(session.umask)),
    ttl_ms: number(session.ttl),
    nofile: number(session.nofile),
    created_at: time(session.created),
    expires_at: time(session.expires),
    fd_count: number(session.fd_count),
    cpus: number(session.cpus),
  };
}

/**
 * @param onSession is called before a session is made, in case the reply is lost, and again after it,
 *   in case a sweeper has just forgotten the empty namespace.
 * @param cpus default for a new namespace.
 */
export function sessionCommands(
  run: RunCommand,
  tokens: Tokens,
  onSession: (namespace: string) => void,
  cpus: number,
) {
  async function born(call: Call, command: string, ...args: Argument[]) {
    const { namespace } = call;
    onSession(namespace);
    const [fields, seed] = await run(call, command, ...args);
    onSession(namespace);
    const session = sessionInfo(namespace, fields);
    return { session, token: tokens.write(namespace, session.id, text(seed)) };
  }

  return {
    async sessionCreate(call: Call, c: Credentials) {
      const seed = tokens.newSeed();
      const hash = tokens.hash(call.namespace, seed);
      const caps = c.capabilities === "*" ? "*" : joinSet(c.capabilities);
      const cred = { ...c, groups: joinSet(c.groups), caps };
      const args = [seed, optional(c.cpus), cpus, hash, c.label, c.ttl_ms];
      args.push(...CRED.map((field) => cred[field]));
      return born(call, "session_create", ...args);
    },

    async fork(call: Call, label: string, ttl: number | undefined) {
      const seed = tokens.newSeed();
      const hash = tokens.hash(call.namespace, seed);
      return born(call, "fork", seed, hash, label, optional(ttl));
    },

    async sessionGet(call: Call) {
      return sessionInfo(call.namespace, (await run(call, "session_get"))[0]);
    },

    async sessionSet(call: Call, c: SessionChanges) {
      const groups = c.groups ? joinSet(c.groups) : "";
      const changes = [c.uid, c.gid].map(optional);
      const more = [c.umask, c.ttl_ms].map(optional);
      const [fields] = await run(call, "session_set", ...changes, groups, ...more);
      return sessionInfo(call.namespace, fields);
    },

    async sessionRenew(call: Call) {
      const [expires, ttl] = await run(call, "session_renew");
      return { expires_at: time(expires), ttl_ms: number(ttl) };
    },

    /** @throws ESRCH, with the reason of its end while that is known. */
    async sessionGetById(call: Call, id: number) {
      const [fields, reason] = await run(call, "session_get_by_id", id);
      if (fields) return sessionInfo(call.namespace, fields);
      if (!reason) throw new Errno("ESRCH", `there is no session ${id}`);
      const extensions = { reason: text(reason) };
      throw new Errno("ESRCH", `session ${id} has ended: ${reason}`, { extensions });
    },

    async sessionList(call: Call, { cursor, limit, label = "" }: SessionPageRequest) {
      const [page, last] = await run(call, "session_list", readCursor(cursor), limit, label);
      const sessions = list(page).map((fields) => sessionInfo(call.namespace, fields));
      return { sessions, ...nextCursor(last) };
    },

    exit: (call: Call) => run(call, "exit"),
    kill: (call: Call, sid: number) => run(call, "kill", sid),
  };
}
