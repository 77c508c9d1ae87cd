import { Errno } from "../../domain/errno.ts";
import { CAPABILITIES } from "../../domain/session.ts";
import { bound } from "../api_keys.ts";
import {
  type Context,
  created,
  done,
  type Handler,
  idempotency,
  ok,
  pathNumber,
  query,
} from "../handler.ts";

/** Sessions: processes that are made, renewed, forked, changed and ended. */

interface Create {
  namespace?: string;
  label?: string;
  ttl_ms?: number;
  uid?: number;
  gid?: number;
  groups?: number[];
  capabilities?: string[];
  umask?: string;
  nofile?: number;
  cpus?: number;
}

interface Changes {
  uid?: number;
  gid?: number;
  groups?: number[];
  umask?: string;
  ttl_ms?: number;
}

function capability(name: string): string {
  const full = `CAP_${name.toUpperCase().replace(/^CAP_/, "")}`;
  if (!CAPABILITIES.includes(full))
    throw new Errno("EINVAL", `no capability ${name}`, { pointer: "/body/capabilities" });
  return full;
}

function umask(text: string): number {
  return Number.parseInt(text, 8) & 0o777;
}

/** root has all capabilities, as after execve; another user those that are asked for. */
function capabilities(asked: string[] | undefined, uid: number, most: string[] | "all") {
  if (asked) return asked.map(capability);
  if (uid !== 0) return [];
  return most === "all" ? ("*" as const) : most;
}

const sessionCreate: Handler = async (context: Context, { req }) => {
  const body = (req.body ?? {}) as Create;
  const key = context.keys?.find(req.get("x-api-key"));
  const uid = body.uid ?? key?.uid ?? 0;
  const namespace = body.namespace ?? "default";
  const credentials = {
    label: body.label ?? "",
    ttl_ms: body.ttl_ms ?? 60_000,
    uid,
    gid: body.gid ?? key?.gid ?? 0,
    groups: body.groups ?? [],
    capabilities: capabilities(body.capabilities, uid, key?.capabilities ?? "all"),
    umask: umask(body.umask ?? "0022"),
    nofile: body.nofile ?? 1024,
    cpus: body.cpus,
  };
  if (key) bound(key, { namespace, ...credentials });
  const call = {
    namespace,
    sid: "",
    hash: "",
    ...idempotency(req, `key:${encodeURIComponent(key?.id ?? "")}`),
  };
  return created(await context.kernel.sessionCreate(call, credentials));
};

const sessionGet: Handler = async ({ kernel }, { call }) => ok(await kernel.sessionGet(call));

const sessionSet: Handler = async ({ kernel }, { req, call }) => {
  const { umask: mask, ...body } = req.body as Changes;
  const changes = mask === undefined ? body : { ...body, umask: umask(mask) };
  return ok(await kernel.sessionSet(call, changes));
};

const sessionExit: Handler = async ({ kernel }, { call }) => {
  await kernel.exit(call);
  return done;
};

const sessionRenew: Handler = async ({ kernel }, { call }) => ok(await kernel.sessionRenew(call));

const sessionFork: Handler = async ({ kernel }, { req, call }) => {
  const { label = "", ttl_ms } = (req.body ?? {}) as { label?: string; ttl_ms?: number };
  return created(await kernel.fork(call, label, ttl_ms));
};

const sessionList: Handler = async ({ kernel }, { req, call }) =>
  ok(await kernel.sessionList(call, query(req, "start_id"), query(req, "limit")));

const sessionKill: Handler = async ({ kernel }, { req, call }) => {
  await kernel.kill(call, pathNumber(req, "id"));
  return done;
};

export const sessions = {
  sessionCreate,
  sessionGet,
  sessionSet,
  sessionExit,
  sessionRenew,
  sessionFork,
  sessionList,
  sessionKill,
};
