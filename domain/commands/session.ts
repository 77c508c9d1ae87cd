import { CAPABILITIES } from "../capabilities.ts";
import { Errno } from "../errno.ts";
import { type Call, joinSet, optional, type RunCommand } from "../redis/command.ts";
import { ANSWER_MS, CRED, SESSION_INFO, TTL_FACTOR } from "../redis/records.ts";
import type { Argument, RedisValue } from "../redis/redis_value.ts";
import { list, nameFields, number, octal, text, time } from "../redis/reply.ts";
import type { RenewalOptions } from "../session_renewals.ts";
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

/** ms after which a sweeper visits a namespace that has got a session, at the latest. */
const VISIT_MS = 5000;

/** A session with this ttl is due after so long; see base/session.lua. */
const visitDelay = (ttl: number) => Math.min(VISIT_MS, Math.floor(ttl * TTL_FACTOR) + ANSWER_MS);

export interface SessionOptions {
  tokens: Tokens;
  /** Default for a new namespace. */
  cpus: number;
  /** Registers the namespace with the sweepers, which visit it in `delay` ms at the latest. */
  register(namespace: string, delay: number): Promise<void>;
  /** Is called when a session has ended, so that the namespace may be empty. */
  onEnd(namespace: string): void;
}

/** @param run calls sessions_renew, which belongs to no session. */
export function sessionsRenew(
  run: (namespace: string, args: Argument[]) => Promise<RedisValue[]>,
): RenewalOptions["renewAll"] {
  return async (namespace, callers) => {
    const [ttls] = await run(
      namespace,
      callers.flatMap(({ sid, hash }) => [sid, hash]),
    );
    return list(ttls).map((ttl) => (ttl ? number(ttl) : undefined));
  };
}

export function sessionCommands(
  run: RunCommand,
  { tokens, cpus, register, onEnd }: SessionOptions,
) {
  async function born(call: Call, command: string, ...args: Argument[]) {
    const { namespace } = call;
    const [fields, seed] = await run(call, command, ...args);
    const session = sessionInfo(namespace, fields);
    return { session, token: tokens.write(namespace, session.id, text(seed)) };
  }

  /**
   * Registers the namespace, makes a session with this ttl, and registers again, because a sweeper that has
   * found the namespace empty in between forgets it.
   */
  async function registered<T>(namespace: string, ttl: number, make: () => Promise<T>) {
    const delay = visitDelay(ttl);
    await register(namespace, delay);
    const made = await make();
    await register(namespace, delay).catch(() => {});
    return made;
  }

  return {
    async sessionCreate(call: Call, c: Credentials) {
      const seed = tokens.newSeed();
      const hash = tokens.hash(call.namespace, seed);
      const caps = c.capabilities === "*" ? "*" : joinSet(c.capabilities);
      const cred = { ...c, groups: joinSet(c.groups), caps };
      const args = [seed, optional(c.cpus), cpus, hash, c.label, c.ttl_ms];
      args.push(...CRED.map((field) => cred[field]));
      return registered(call.namespace, c.ttl_ms, () => born(call, "session_create", ...args));
    },

    async fork(call: Call, label: string, ttl: number | undefined) {
      const seed = tokens.newSeed();
      const hash = tokens.hash(call.namespace, seed);
      const make = () => born(call, "fork", seed, hash, label, optional(ttl));
      // A child with the ttl of its parent is not due before it.
      return ttl === undefined ? make() : registered(call.namespace, ttl, make);
    },

    async sessionGet(call: Call) {
      return sessionInfo(call.namespace, (await run(call, "session_get"))[0]);
    },

    async sessionSet(call: Call, c: SessionChanges) {
      const groups = c.groups ? joinSet(c.groups) : "";
      const changes = [c.uid, c.gid].map(optional);
      const more = [c.umask, c.ttl_ms].map(optional);
      const set = async () => {
        const [fields] = await run(call, "session_set", ...changes, groups, ...more);
        return sessionInfo(call.namespace, fields);
      };
      return c.ttl_ms === undefined ? set() : registered(call.namespace, c.ttl_ms, set);
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

    async exit(call: Call) {
      await run(call, "exit");
      onEnd(call.namespace);
    },

    async kill(call: Call, sid: number) {
      await run(call, "kill", sid);
      onEnd(call.namespace);
    },
  };
}
