import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * Sits between the service and Redis and loses, delays or cuts what a test selects. A reply cannot
 * be removed from a connection alone, because every later reply would answer the wrong command; so
 * a lost reply closes its connection, as in a network.
 */

/**
 * "cut" drops the bytes and closes the connection. "swallow" silently drops all further bytes of
 * this connection. A number delays the bytes by so many ms.
 */
export type ProxyFault = "pass" | "cut" | "swallow" | number;

export class FaultProxy {
  /** Decides what happens to bytes sent to Redis. */
  onRequest: (bytes: string) => ProxyFault = () => "pass";
  /** Decides what happens to bytes sent by Redis; `request` is the last request. */
  onReply: (request: string) => ProxyFault = () => "pass";
  /** Called for each connection, before it is refused or joined. */
  onConnection: () => void = () => {};
  /** If set, new connections are refused. */
  away = false;
  /** Counts the faults; a fault test without a fault proves nothing. */
  hits = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param target the path of the socket of Redis */
  constructor(target: string) {
    this.#server = createServer((client) => {
      this.onConnection();
      if (this.away) return client.destroy();
      this.#join(client, connect(target));
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Closes all connections; `away` decides about new ones. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets all traffic pass again. */
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
