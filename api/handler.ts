import { createHash } from "node:crypto";
import type { Request } from "express";
import type { Call, Kernel } from "../domain/bpf.ts";
import { BadToken } from "../domain/errno.ts";
import type { ApiKeys } from "./api_keys.ts";
import type { Events } from "./sse.ts";

/** What a handler is given and what it gives: HTTP in, one command, HTTP out. */

export interface Context {
  kernel: Kernel;
  /** Undefined when none are configured: then anybody may create sessions. */
  keys: ApiKeys | undefined;
  /** 503 from readyz once the service is stopping, or when Redis does not answer. */
  ready(): Promise<void>;
}

export interface Reply {
  status: number;
  /** JSON, or bytes with their type. */
  body?: object;
  bytes?: Buffer;
  type?: string;
  headers?: Record<string, string>;
  /** Instead of a body: events, as they come. */
  events?: Events;
}

export interface Asked {
  req: Request;
  /** Who calls; of nobody's for the operations without a session. */
  call: Call;
}

export type Handler = (context: Context, asked: Asked) => Promise<Reply>;

export const ok = (body: object): Reply => ({ status: 200, body });
export const created = (body: object): Reply => ({ status: 201, body });
export const OCTETS = "application/octet-stream";

/** Whether the answer is to be bytes as they are. */
export function wantsOctets(req: Request): boolean {
  return req.accepts(["json", OCTETS]) === OCTETS;
}

export const done: Reply = { status: 204 };
export const revised = (revision: number) => ({ "bpf-map-revision": String(revision) });

const BEARER = /^Bearer +([\w.-]+)$/i;

/** @throws BadToken */
export function bearer(kernel: Kernel, header: string | undefined) {
  const token = BEARER.exec(header ?? "")?.[1];
  if (token === undefined) throw new BadToken("Authorization: Bearer <session token> is missing");
  return kernel.tokens.read(token);
}

/** The raw body is kept only when an Idempotency-Key asks for its fingerprint. */
export interface RawRequest extends Request {
  raw?: Buffer;
}

/** The record under which a repeat of this request finds its first answer; empty without a key. */
export function idempotency(req: RawRequest, owner: string) {
  const key = req.get("idempotency-key");
  if (key === undefined || req.method === "GET") return { record: "", fingerprint: "" };
  const fingerprint = createHash("sha256")
    .update(`${req.method} ${req.originalUrl}\n`)
    .update(req.raw ?? "")
    .digest("base64url");
  return { record: `${owner}:${key}`, fingerprint };
}

export function pathNumber(req: Request, name: string): number {
  return Number(req.params[name]);
}

/** A query parameter as the validator left it: defaults filled in, numbers converted. */
export function query<T>(req: Request, name: string): T {
  return (req.query as Record<string, unknown>)[name] as T;
}
