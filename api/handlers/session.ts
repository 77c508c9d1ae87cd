import { recordName } from "../../domain/bpf.ts";
import { CAPABILITIES, capabilityName } from "../../domain/capabilities.ts";
import type { SessionInfo } from "../../domain/commands/session.ts";
import { didYouMean } from "../../domain/did_you_mean.ts";
import { einval } from "../../domain/errno.ts";
import { checkRights, recordOwner } from "../api_keys.ts";
import {
  created,
  type Handler,
  idempotencyKey,
  noContent,
  ok,
  pageOf,
  pathNumber,
  query,
  type ServiceContext,
} from "../handler.ts";

/** Sessions: create, list, show, change, renew, fork, end and kill them. */

interface SessionCreateBody {
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

interface SessionChangesBody {
  uid?: number;
  gid?: number;
  groups?: number[];
  umask?: string;
  ttl_ms?: number;
}

function capability(name: string): string {
  const full = capabilityName(name);
  if (CAPABILITIES.includes(full)) return full;
  throw einval(`unknown capability ${name}${didYouMean(full, CAPABILITIES)}`, "capabilities");
}

function umask(text: string): number {
  return Number.parseInt(text, 8) & 0o777;
}

/** root has all that are allowed, as after execve; another user those that it requests. */
function capabilitiesOf(
  requested: string[] | undefined,
  uid: number,
  allowed: string[] | "all",
): string[] | "*" {
  if (requested) return requested.map(capability);
  if (uid !== 0) return [];
  return allowed === "all" ? "*" : allowed;
}

const createdSession = (body: { session: SessionInfo }) =>
  created(body, `/v1/sessions/${body.session.id}`);

const sessionCreate: Handler = async (context: ServiceContext, request) => {
  const body = (request.body ?? {}) as SessionCreateBody;
  const key = context.keys?.find(request.headers["x-api-key"] as string | undefined);
  const uid = body.uid ?? key?.uid ?? 0;
  const namespace = body.namespace ?? "default";
  const credentials = {
    label: body.label ?? "",
    ttl_ms: body.ttl_ms ?? 60_000,
    uid,
    gid: body.gid ?? key?.gid ?? 0,
    groups: body.groups ?? [],
    capabilities: capabilitiesOf(body.capabilities, uid, key?.capabilities ?? "all"),
    umask: umask(body.umask ?? "0022"),
    nofile: body.nofile ?? 1024,
    cpus: body.cpus,
  };
  if (key) checkRights(key, { namespace, ...credentials });
  const record = recordName(recordOwner(key), idempotencyKey(request));
  const call = { ...request.call, namespace, record };
  return createdSession(await context.kernel.sessionCreate(call, credentials));
};

const sessionGet: Handler = async ({ kernel }, request) =>
  ok(await kernel.sessionGet(request.call));

const sessionUpdate: Handler = async ({ kernel }, request) => {
  const { umask: mask, ...body } = request.body as SessionChangesBody;
  const changes = mask === undefined ? body : { ...body, umask: umask(mask) };
  return ok(await kernel.sessionSet(request.call, changes));
};

const sessionExit: Handler = async ({ kernel }, request) => {
  await kernel.exit(request.call);
  return noContent;
};

const sessionRenew: Handler = async ({ kernel }, request) => {
  const { expires_at } = await kernel.sessionRenew(request.call);
  return ok({ expires_at });
};

const sessionFork: Handler = async ({ kernel }, request) => {
  const { label = "", ttl_ms } = (request.body ?? {}) as { label?: string; ttl_ms?: number };
  return createdSession(await kernel.fork(request.call, label, ttl_ms));
};

const sessionList: Handler = async ({ kernel }, request) =>
  ok(
    await kernel.sessionList(request.call, { ...pageOf(request), label: query(request, "label") }),
  );

const sessionGetById: Handler = async ({ kernel }, request) =>
  ok(await kernel.sessionGetById(request.call, pathNumber(request, "id")));

const sessionKill: Handler = async ({ kernel }, request) => {
  await kernel.kill(request.call, pathNumber(request, "id"));
  return noContent;
};

export const sessions = {
  sessionCreate,
  sessionGet,
  sessionGetById,
  sessionUpdate,
  sessionExit,
  sessionRenew,
  sessionFork,
  sessionList,
  sessionKill,
};
