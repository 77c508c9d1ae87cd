import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { BadToken } from "./errno.ts";

/**
 * Writes and reads session tokens: `bps_{namespace}.{session}.{secret}.{tag}`. The secret has 256 random
 * bits; Redis keeps only its keyed hash. The tag proves without Redis that this service issued the token,
 * which distinguishes an ended session (410) from a forged token (401).
 *
 * A ticket, `bpt_{namespace}.{session}.{hash}.{fd}.{map id}.{expires}.{tag}`, lets its holder act as the
 * session on one fd of one map until a time. It has the hash instead of the secret, so it cannot be turned
 * into a token. Nothing of it is stored.
 */

export interface Caller {
  namespace: string;
  sid: string;
  /** HMAC-SHA-256 of the secret, the only form in which Redis keeps it. */
  hash: string;
}

/** What a ticket allows. */
export interface Ticket {
  caller: Caller;
  fd: number;
  /** Id of the map that the fd must be of: the number of a closed fd is reused. */
  mapId: number;
}

interface TicketFields extends Omit<Ticket, "caller"> {
  /** In ms, by the clocks of the replicas. */
  expires: number;
}

const TOKEN = /^bps_([a-z0-9][a-z0-9-]{0,62})\.(\d{1,15})\.([\w-]{43})\.([\w-]{22})$/;
/** Namespace, session, hash, fd, map id and time of expiry; then the tag. */
const TICKET =
  /^bpt_([a-z0-9][a-z0-9-]{0,62}\.\d{1,15}\.[\w-]{43}\.\d{1,10}\.\d{1,15}\.\d{1,15})\.([\w-]{22})$/;
const CACHE_SIZE = 10_000;

export class Tokens {
  readonly #key: Buffer;
  readonly #cache = new Map<string, Caller>();

  /** @param key at least 32 bytes, the same in every replica. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  #mac(purpose: string, text: string): Buffer {
    return createHmac("sha256", this.#key).update(`${purpose}\0${text}`).digest();
  }

  /** Makes 256 random bits. The secret is derived from them with the key, so they need no protection. */
  newSeed(): string {
    return randomBytes(32).toString("base64url");
  }

  hash(namespace: string, seed: string): string {
    return this.#hashOf(namespace, this.#secret(seed));
  }

  #secret(seed: string): string {
    return this.#mac("secret", seed).toString("base64url");
  }

  #hashOf(namespace: string, secret: string): string {
    return this.#mac("hash", `${namespace}.${secret}`).toString("base64url");
  }

  #tag(purpose: "tag" | "ticket", body: string): string {
    return this.#mac(purpose, body).subarray(0, 16).toString("base64url");
  }

  /** Compares text: base64url of 16 bytes has spare bits, so 16 texts decode to one tag. */
  #isTag(given: string, purpose: "tag" | "ticket", body: string): boolean {
    const [expected, actual] = [Buffer.from(this.#tag(purpose, body)), Buffer.from(given)];
    return actual.length === expected.length && timingSafeEqual(actual, expected);
  }

  write(namespace: string, sid: number, seed: string): string {
    const body = `${namespace}.${sid}.${this.#secret(seed)}`;
    return `bps_${body}.${this.#tag("tag", body)}`;
  }

  /** @throws BadToken */
  read(token: string): Caller {
    const cached = this.#cache.get(token);
    if (cached) return cached;
    const parts = TOKEN.exec(token);
    if (!parts) throw new BadToken("not a session token");
    const [, namespace = "", sid = "", secret = "", tag = ""] = parts;
    if (!this.#isTag(tag, "tag", `${namespace}.${sid}.${secret}`)) {
      throw new BadToken("this service never issued that token");
    }
    const caller = { namespace, sid, hash: this.#hashOf(namespace, secret) };
    this.#remember(token, caller);
    return caller;
  }

  writeTicket({ namespace, sid, hash }: Caller, { fd, mapId, expires }: TicketFields): string {
    const body = [namespace, sid, hash, fd, mapId, expires].join(".");
    return `bpt_${body}.${this.#tag("ticket", body)}`;
  }

  /** @throws BadToken, which never quotes the ticket. */
  readTicket(ticket: string): Ticket {
    const [, body = "", tag = ""] = TICKET.exec(ticket) ?? [];
    if (body === "") throw new BadToken("not a ticket");
    if (!this.#isTag(tag, "ticket", body)) {
      throw new BadToken("this service never issued that ticket");
    }
    const [namespace = "", sid = "", hash = "", fd, mapId, expires] = body.split(".");
    const end = new Date(Number(expires));
    if (end.getTime() <= Date.now()) {
      throw new BadToken(`the ticket expired at ${end.toISOString()}: create a new one`);
    }
    return { caller: { namespace, sid, hash }, fd: Number(fd), mapId: Number(mapId) };
  }

  /** Drops the oldest entry when the cache is full. */
  #remember(token: string, caller: Caller): void {
    if (this.#cache.size >= CACHE_SIZE) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
    this.#cache.set(token, caller);
  }
}
