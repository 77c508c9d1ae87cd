import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** Sends requests as clients do that expect failures: each answer says what surely happened. */

/**
 * "done": answered with success. "refused": answered with 4xx. "unavailable": 503, and surely nothing was
 * done. "unknown": it may have been done. "broken": 5xx other than 503.
 */
export type Fate = "done" | "refused" | "unavailable" | "unknown" | "broken";

export interface FaultAnswer {
  fate: Fate;
  /** 0 when the connection broke. */
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is what a scenario says it is
  body: any;
  headers: NodeJS.Dict<string | string[]>;
}

export interface FaultRequest {
  method: string;
  path: string;
  /** In the request line, in place of the path. */
  target?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** ms without an answer after which the client gives up. */
  patience?: number;
}

const PATIENCE_MS = 30_000;
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

const typeOf = (body: unknown) => String((body as { type?: string } | undefined)?.type ?? "");

function fateOf(status: number, body: unknown): Fate {
  if (status === 0) return "unknown";
  if (status < 400) return "done";
  if (status < 500) return "refused";
  if (status !== 503) return "broken";
  return typeOf(body).endsWith("outcome-unknown") ? "unknown" : "unavailable";
}

function parsed(bytes: Buffer, type: unknown): unknown {
  return String(type).includes("json") ? JSON.parse(bytes.toString()) : bytes;
}

/** Sends with the token of a session, or with none, to the next replica when a connection breaks. */
export class FaultClient {
  readonly bases: readonly string[];
  readonly token: string | undefined;
  #at: number;

  /** @param first which of the replicas is the first */
  constructor(bases: readonly string[], token?: string, first = 0) {
    this.bases = bases;
    this.token = token;
    this.#at = first;
  }

  get base(): string {
    return this.bases[this.#at % this.bases.length] ?? "";
  }

  async send(request: FaultRequest): Promise<FaultAnswer> {
    const answer = await this.#sendTo(this.base, request);
    if (answer.status === 0) this.#at += 1;
    return answer;
  }

  #sendTo(base: string, wanted: FaultRequest): Promise<FaultAnswer> {
    const { method, path, target = path, body, headers, patience = PATIENCE_MS } = wanted;
    const isBytes = Buffer.isBuffer(body);
    const payload = body === undefined || isBytes ? body : JSON.stringify(body);
    const all = {
      ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
      ...(payload === undefined
        ? {}
        : { "content-type": isBytes ? "application/octet-stream" : "application/json" }),
      ...headers,
    };
    return new Promise<FaultAnswer>((resolve) => {
      const broken = (error: Error) =>
        resolve({ fate: "unknown", status: 0, body: { detail: error.message }, headers: {} });
      const options = { method, agent, headers: all, path: target };
      const sent = request(base, options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", broken);
        response.on("end", () => {
          const { statusCode: status = 0, headers: fields } = response;
          const answer = parsed(Buffer.concat(chunks), fields["content-type"]);
          resolve({ fate: fateOf(status, answer), status, body: answer, headers: fields });
        });
      });
      sent.setTimeout(patience, () => sent.destroy(new Error(`no answer in ${patience} ms`)));
      sent.on("error", broken);
      sent.end(payload);
    });
  }

  get = (path: string) => this.send({ method: "GET", path });
  post = (path: string, body?: unknown) => this.send({ method: "POST", path, body });
  put = (path: string, body?: unknown) => this.send({ method: "PUT", path, body });
  del = (path: string) => this.send({ method: "DELETE", path });
}

/** What a 503 says, or the status. */
export function describeAnswer({ status, body }: FaultAnswer): string {
  return `${status} ${typeOf(body).replace("/docs/errors/", "")} ${body?.detail ?? ""}`.trim();
}

const RETRY_MS = 25;

/** Repeats what was surely not done until it is answered. @throws when it is not within `limit` ms */
export async function insist(
  send: () => Promise<FaultAnswer>,
  limit = PATIENCE_MS,
): Promise<FaultAnswer> {
  for (const end = performance.now() + limit; ; await delay(RETRY_MS)) {
    const answer = await send();
    if (answer.fate === "done") return answer;
    if (answer.fate === "refused" || performance.now() > end) {
      throw new Error(describeAnswer(answer));
    }
  }
}

export interface OpenedSession {
  id: number;
  client: FaultClient;
}

/** Opens a session of root. */
export async function openSession(
  bases: readonly string[],
  namespace: string,
  more: object = {},
  first = 0,
): Promise<OpenedSession> {
  const nobody = new FaultClient(bases, undefined, first);
  const body = { namespace, ttl_ms: 60_000, nofile: 10_000, ...more };
  const answer = await insist(() => nobody.post("/v1/sessions", body));
  return { id: answer.body.session.id, client: new FaultClient(bases, answer.body.token, first) };
}
