import type { ServerResponse } from "node:http";
import { NoPlace, Unavailable } from "../domain/errno.ts";
import { FairQueue } from "../domain/fair_queue.ts";
import type { ValueCodec } from "./codec/value_codec.ts";
import type { HandlerRequest } from "./handler.ts";

/**
 * Bounds the bytes of long answers, from before they are built until their clients have taken them: others
 * wait for room, and are refused when there is none in time.
 * Invariant: a namespace with a long answer holds at most as much as it leaves to others.
 */

/** Bytes of all long answers of a process, with what it takes to make them. */
const BYTES_MAX = 192 << 20;
/** Long answers that wait for room, and ms that one waits. */
const WAITING_MAX = 32;
const PATIENCE_MS = 5000;
/** An answer of at most so many bytes is not long. */
const LONG_BYTES = 256 << 10;
/** An element in hex takes its own bytes and two characters for each. */
const HEX_FACTOR = 3;

const DISCONNECTED = "the client has disconnected";

interface WaitingAnswer {
  bytes: number;
  begin(): void;
  refuse(reason: Error): void;
}

export class AnswerRoom {
  #free: number;
  /** Namespace -> the bytes of its long answers. */
  readonly #held = new Map<string, number>();
  readonly #waiting = new FairQueue<WaitingAnswer, NoPlace>({
    ...{ limit: "long answers", places: WAITING_MAX, Refusal: NoPlace },
    onRefused: (waiting, reason) => waiting.refuse(reason),
  });
  readonly #patience: number;

  constructor(bytes = BYTES_MAX, patience = PATIENCE_MS) {
    this.#free = bytes;
    this.#patience = patience;
  }

  /** Resolves when there is room, which the answer has until its response closes. @throws Unavailable */
  async enter(res: ServerResponse, namespace: string, bytes: number): Promise<void> {
    if (res.destroyed) throw new Unavailable(DISCONNECTED);
    const isNext = this.#waiting.countOf(namespace) === 0;
    if (!isNext || !this.#hasRoom(namespace, bytes)) await this.#wait(res, namespace, bytes);
    else this.#take(namespace, bytes);
    this.#leaveWith(res, namespace, bytes);
  }

  #leaveWith(res: ServerResponse, namespace: string, bytes: number): void {
    let hasRoom = true;
    const leave = () => {
      if (hasRoom) this.#leave(namespace, bytes);
      hasRoom = false;
    };
    if (res.destroyed || res.req.socket.destroyed) leave();
    res.once("close", leave);
    // A response that waits behind others on its connection does not emit "close" when the
    // connection closes.
    if (res.socket === null) res.req.socket.once("close", leave);
  }

  #hasRoom(namespace: string, bytes: number): boolean {
    const held = this.#held.get(namespace) ?? 0;
    const left = this.#free - bytes;
    return held === 0 ? left >= 0 : held + bytes <= left;
  }

  #take(namespace: string, bytes: number): void {
    this.#free -= bytes;
    this.#held.set(namespace, (this.#held.get(namespace) ?? 0) + bytes);
  }

  #leave(namespace: string, bytes: number): void {
    this.#free += bytes;
    const held = (this.#held.get(namespace) ?? 0) - bytes;
    if (held > 0) this.#held.set(namespace, held);
    else this.#held.delete(namespace);
    this.#admit();
  }

  /** Lets in what has room now. */
  #admit(): void {
    for (;;) {
      const next = this.#waiting.shift((owner, { bytes }) => this.#hasRoom(owner, bytes));
      if (next === undefined) return;
      next.begin();
    }
  }

  /** Resolves when the answer has room. */
  #wait(res: ServerResponse, namespace: string, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        res.off("close", onClose);
      };
      const refuse = (reason: Error) => {
        end();
        reject(reason);
      };
      const begin = () => {
        end();
        this.#take(namespace, bytes);
        resolve();
      };
      const waiting = { bytes, begin, refuse };
      const giveUp = (reason: string) => {
        if (!this.#waiting.remove(namespace, waiting)) return;
        refuse(new Unavailable(reason));
        // What waited behind it may need less room.
        this.#admit();
      };
      const late = `no room for ${this.#patience} ms: clients have not taken other long answers`;
      const timer = setTimeout(() => giveUp(`${late}; try again`), this.#patience);
      const onClose = () => giveUp(DISCONNECTED);
      res.once("close", onClose);
      try {
        this.#waiting.push(namespace, waiting);
      } catch (error) {
        refuse(error as Error);
      }
    });
  }
}

const room = new AnswerRoom();

/** The elements of an answer. */
interface AnswerSize {
  bytes: number;
  count: number;
}

/**
 * Waits for room, if the answer is long.
 *
 * @param codec which writes the elements; undefined for an answer of octets.
 * @throws Unavailable
 */
export function enterAnswerRoom(
  { call, res }: HandlerRequest,
  codec: ValueCodec | undefined,
  { bytes, count }: AnswerSize,
): Promise<void> | undefined {
  const text = codec ? Math.max(HEX_FACTOR * bytes, bytes + codec.elementLength * count) : bytes;
  return text > LONG_BYTES ? room.enter(res, call.namespace, text) : undefined;
}
