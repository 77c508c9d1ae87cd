import { SHARED_BYTES, share, toBuffer } from "../../domain/bytes.ts";
import { LimitReached, Unavailable } from "../../domain/errno.ts";
import { BackgroundPool, BackgroundWorker } from "../../domain/threads/background_worker.ts";
import type { TaskOwner } from "../../domain/threads/thread_pool.ts";
import type { CodecSource } from "../codec/value_codec.ts";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import type { Route } from "../openapi/openapi.ts";
import type { LongBodyReply, LongBodyRequest, WriteRequest } from "./long_body_thread.ts";
import type { ReaderName, ReaderResult } from "./readers.ts";

/** JSON that would hold the event loop: threads parse, check and read it in requests, and write it in answers. */

const MODULE = new URL("./long_body_thread.ts", import.meta.url).href;
const THREADS = 2;
const WAITING_MAX = 64;

const worker = new BackgroundWorker<LongBodyRequest>(
  MODULE,
  new BackgroundPool({ threads: THREADS, limit: "bodies", waiting: WAITING_MAX }),
);

const MAX_BYTES = 256 * 1024;
/** Members and elements, each of which takes its time. */
const MAX_PARTS = 4096;
/** Commas, what begins an object or an array, and what joins literals; those in strings count as well. */
const PART_BEGINS = new Set(Buffer.from(",{[+"));

/** Whether a JSON text takes more than a few ms, for those who parse and check it. */
export function isLong(octets: Buffer): boolean {
  if (octets.length <= MAX_PARTS) return false;
  if (octets.length > MAX_BYTES) return true;
  let parts = 0;
  for (const byte of octets) if (PART_BEGINS.has(byte) && ++parts > MAX_PARTS) return true;
  return false;
}

/** A message has plain byte arrays instead of buffers. */
function withBuffers(value: unknown): unknown {
  if (value instanceof Uint8Array) return toBuffer(value);
  if (Array.isArray(value)) return value.map(withBuffers);
  if (typeof value !== "object" || value === null || value instanceof Set) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withBuffers(one)]));
}

/** Any operation can be too busy for a long body, so that this is no errno of a command. */
function tooBusy(error: Error): never {
  throw error instanceof LimitReached ? new Unavailable(error.message) : error;
}

/** Sends a request to a thread. @throws InvalidRequest, EINVAL, Unavailable */
async function ask(owner: TaskOwner, request: LongBodyRequest): Promise<LongBodyReply> {
  const reply = await worker.request<LongBodyReply>(owner, request).catch(tooBusy);
  if (reply === undefined) throw new Unavailable("a long body took too long");
  if ("invalid" in reply) throw new InvalidRequest(reply.invalid.pointer, reply.invalid.detail);
  return reply;
}

/** Writes elements as JSON texts, each in pieces. @throws Unavailable */
export async function writeInThread(
  owner: TaskOwner,
  { packed, ...request }: WriteRequest,
): Promise<Buffer[][]> {
  const parts = packed.parts.map((part) => (part.length > SHARED_BYTES ? share(part) : part));
  const reply = await ask(owner, { ...request, step: "write", packed: { ...packed, parts } });
  if (!("texts" in reply)) throw new Error("the thread wrote nothing");
  return reply.texts.map((pieces) => pieces.map(toBuffer));
}

export interface BodyOf {
  octets: Buffer;
  method: Route["method"];
  path: string;
}

export class LongBody {
  readonly #owner: TaskOwner;
  readonly #body: BodyOf;

  constructor(owner: TaskOwner, { octets, ...operation }: BodyOf) {
    this.#owner = owner;
    this.#body = { octets: share(octets), ...operation };
  }

  /**
   * Checks the body against the document. @returns the body with its defaults, or this where the
   * operation has a reader.
   * @throws InvalidRequest, Unavailable
   */
  async check(): Promise<unknown> {
    const reply = await ask(this.#owner, { ...this.#body, step: "check" });
    return "body" in reply ? reply.body : this;
  }

  /** @throws EINVAL, Unavailable */
  async read<Name extends ReaderName>(
    reader: Name,
    codec: CodecSource,
  ): Promise<ReaderResult<Name>> {
    const reply = await ask(this.#owner, { ...this.#body, step: "read", reader, codec });
    return withBuffers("body" in reply ? reply.body : undefined) as ReaderResult<Name>;
  }
}
