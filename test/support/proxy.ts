import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { encodeCommand, splitCommands } from "./resp.ts";

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

/** An error reply, or what a function of the service returns when a call of Redis has raised the error in it. */
export interface FakeRefusal {
  error: string;
  isRaised: boolean;
}

/** Redis itself sends the reply that was chosen, so that all replies stay in their order. */
const REPLY =
  'if ARGV[2] == "raised" then return { "FAULT", ARGV[1] } end return redis.error_reply(ARGV[1])';

const refuse = ({ error, isRaised }: FakeRefusal) =>
  encodeCommand(["EVAL", REPLY, "0", error, isRaised ? "raised" : "replied"]);

export class FaultProxy {
  /** Called for each command; one that is refused never reaches Redis. */
  onCommand: ((words: readonly string[]) => FakeRefusal | undefined) | undefined;
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

  /** @param target the path of the socket of Redis, or its port on loopback */
  constructor(target: string | number) {
    const address = typeof target === "number" ? { port: target } : { path: target };
    this.#server = createServer((client) => {
      this.onConnection();
      if (this.away) return client.destroy();
      this.#join(client, connect(address));
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
    this.onCommand = undefined;
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
    const refused = this.#refuser();
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
      this.#pass(state, this.onRequest(state.request), refused(bytes), client, redis);
    });
    redis.on("data", (bytes) => {
      this.#pass(state, this.onReply(state.request), bytes, client, client);
    });
  }

  /** Puts refusals in place of the commands that onCommand() refuses. */
  #refuser(): (bytes: Buffer) => Buffer {
    let rest = Buffer.alloc(0);
    return (bytes) => {
      if (!this.onCommand && rest.length === 0) return bytes;
      const split = splitCommands(Buffer.concat([rest, bytes]));
      rest = Buffer.from(split.rest);
      const parts = split.commands.map((command) => {
        const refusal = this.onCommand?.(command.words);
        if (refusal) this.hits += 1;
        return refusal ? refuse(refusal) : command.bytes;
      });
      return Buffer.concat(parts);
    };
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
