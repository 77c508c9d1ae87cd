import type { ServerResponse } from "node:http";

/** Cuts clients that do not read their answers, because an answer takes memory until it is read. */

/** A client that takes no byte of its answer for so long is disconnected. */
const STALL_MS = 30_000;
/** Bytes of complete answers that clients may leave unread, all together. */
const UNREAD_MAX = 192 << 20;

const unreadOf = ({ socket }: ServerResponse): number => socket?.writableLength ?? 0;

export class SlowReaders {
  readonly #max: number;

  constructor(max = UNREAD_MAX) {
    this.#max = max;
  }

  /** @param responses the oldest first. */
  check(responses: Iterable<ServerResponse>): void {
    const unread: ServerResponse[] = [];
    let total = 0;
    for (const response of responses) {
      const { writableEnded, socket } = response;
      // Who answers in parts, as event streams do, looks after the client.
      if (!writableEnded || socket === null) continue;
      unread.push(response);
      total += unreadOf(response);
      // Node sees whether the socket takes bytes before it reports the time-out, and then destroys it.
      if (socket.timeout !== STALL_MS) socket.setTimeout(STALL_MS);
    }
    for (const response of unread) {
      if (total <= this.#max) return;
      total -= unreadOf(response);
      response.destroy();
    }
  }

  /** Another response of the same connection may take long before it is complete. */
  release({ req: { socket } }: ServerResponse): void {
    if (socket.timeout === STALL_MS) socket.setTimeout(0);
  }
}
