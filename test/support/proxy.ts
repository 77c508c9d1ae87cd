import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * Stands between the service and Redis, and loses, delays or cuts what a test tells it to. A reply
 * cannot be taken out of a connection alone (all later ones would answer the wrong command), so what
 * is lost takes its connection along, as in a network.
 */

/**
 * "cut": the bytes and the connection are gone. "swallow": nothing passes this connection any more,
 * and nobody is told. A number: passes after so many ms.
 */
export type ProxyFault = "pass" | "cut" | "swallow" | number;

export class FaultProxy {
  /** What becomes of bytes for Redis. */
  onRequest: (bytes: string) => ProxyFault = () => "pass";
  /** What becomes of bytes from Redis; `request` is what was last sent there. */
  onReply: (request: string) => ProxyFault = () => "pass";
  /** New connections are refused. */
  away = false;
  /** How often anything but "pass" was said; a test of faults without one proves nothing. */
  hits = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param target the path of Redis' socket. */
  constructor(target: string) {
    this.#server = createServer((client) => {
      if (this.away) return client.destroy();
      this.#join(client, connect(target));
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends all connections; those to come are for `away`. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From now on everything passes. */
  heal(): void {
    this.away = false;
    this.onRequest = () => "pass";
    this.onReply = () => "pass";
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  #join(client: Socket, redis: Socket): void {
    const state = { silent: false, request: "" };
    for (const [from, to] of [
      [client, redis],
      [redis, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay();
      from.on("error", () => to.destroy());
      from.on("close", () => this.#sockets.delete(from) && to.destroy());
    }
    client.on("data", (bytes) => {
      state.request = bytes.toString("latin1");
      this.#pass(state, this.onRequest(state.request), bytes, client, redis);
    });
    redis.on("data", (bytes) => {
      this.#pass(state, this.onReply(state.request), bytes, client, client);
    });
  }

  #pass(
    state: { silent: boolean },
    fault: ProxyFault,
    bytes: Buffer,
    client: Socket,
    to: Socket,
  ): void {
    if (state.silent) return;
    if (fault !== "pass") this.hits += 1;
    if (fault === "cut") client.destroy();
    else if (fault === "swallow") state.silent = true;
    else if (fault === "pass") to.write(bytes);
    else setTimeout(() => to.write(bytes), fault);
  }
}
