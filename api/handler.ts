import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Call, Kernel } from "../domain/bpf.ts";
import type { PageRequest, StartedPageRequest } from "../domain/commands/cursor.ts";
import { BadToken } from "../domain/errno.ts";
import type { Caller } from "../domain/token.ts";
import type { ApiKeys } from "./api_keys.ts";
import type { Events } from "./sse.ts";

/** A handler gets a validated request, runs one command and returns a response. */

export interface ServiceContext {
  kernel: Kernel;
  /** Undefined if none are configured: then everybody can create sessions. */
  keys: ApiKeys | undefined;
  /** Rejects once the service is stopping, or if Redis does not answer. */
  ready(): Promise<void>;
}

/** A request that matches the document; the general and the fast path make the same. */
export interface HandlerRequest {
  /** An operation without a session has an anonymous caller. */
  call: Call;
  /** Path and query parameters: numbers converted, defaults filled in. */
  params: Readonly<Record<string, unknown>>;
  query: Readonly<Record<string, unknown>>;
  /** JSON with its defaults filled in, a Buffer for octets, undefined without a body. */
  body: unknown;
  headers: IncomingHttpHeaders;
  /** The only map whose records a request with a ticket reads. */
  ticketMapId?: number | undefined;
  /** Tells a request that waits whether the client is still connected. */
  res: ServerResponse;
}

export interface HandlerResponse {
  status: number;
  /** JSON, or bytes with their type, long ones in pieces. */
  body?: object | undefined;
  bytes?: Buffer | readonly Buffer[] | undefined;
  type?: string;
  headers?: Readonly<Record<string, string>>;
  /** Events, sent as they arrive instead of a body. */
  events?: Events;
}

export type Handler = (
  context: ServiceContext,
  request: HandlerRequest,
) => Promise<HandlerResponse>;

export const ok = (body: object): HandlerResponse => ({ status: 200, body });

/** The response to a request that made something. @param url where it can be read, if it can be. */
export function created(body: object, url?: string): HandlerResponse {
  return { status: 201, body, ...(url === undefined ? {} : { headers: { location: url } }) };
}

/** The response to a request that made an fd, be it of a new object. */
export const createdFd = (body: { fd: number }) => created(body, `/v1/fds/${body.fd}`);

/** The body of an operation that takes octets. */
export const octetsOf = ({ body }: HandlerRequest) => body as Buffer;

export const noContent: HandlerResponse = { status: 204 };
export const revisionHeader = (revision: number) => ({ "bpf-map-revision": String(revision) });

export const ANONYMOUS: Caller = { namespace: "", sid: "", hash: "" };
const BEARER = /^Bearer +([\w.-]+)$/i;

/** @throws BadToken */
export function bearer({ tokens }: Pick<Kernel, "tokens">, header: string | undefined): Caller {
  const token = BEARER.exec(header ?? "")?.[1];
  if (token === undefined) throw new BadToken("Authorization: Bearer <session token> is missing");
  return tokens.read(token);
}

/** Tells a repeat of a request from a new one; Node joins a header that is sent twice. */
export function idempotencyKey({ headers }: Pick<IncomingMessage, "headers">): string | undefined {
  return headers["idempotency-key"] as string | undefined;
}

/** The conditions of a request as text, empty for none. */
export function conditionOf({ headers }: Pick<IncomingMessage, "headers">): string {
  const { "if-match": match, "if-none-match": none } = headers;
  if (match === undefined && none === undefined) return "";
  return JSON.stringify([match, none]);
}

export function pathNumber({ params }: HandlerRequest, name: string): number {
  return params[name] as number;
}

/** A query parameter, converted and with its default. */
export function query<T>(request: HandlerRequest, name: string): T {
  return request.query[name] as T;
}

/** Which page of a list a request asks for. */
export function pageOf(request: HandlerRequest): PageRequest {
  return { cursor: query(request, "cursor"), limit: query(request, "limit") };
}

/** The same for a list that takes the kernel's `start_id` as well. */
export function startedPageOf(request: HandlerRequest): StartedPageRequest {
  return { ...pageOf(request), start_id: query(request, "start_id") };
}
