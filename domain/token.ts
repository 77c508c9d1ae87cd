import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { BadToken } from "./errno.ts";

/**
 * Session tokens: `bps_{namespace}.{session}.{secret}.{tag}`. The secret has 256 random bits; Redis
 * keeps only its keyed hash. The tag proves, without asking Redis, that this service made the token,
 * so that an ended session (410) is told from a token never given out (401).
 */
export interface Caller {
  namespace: string;
  sid: string;
  /** HMAC-SHA-256 of the secret: what Redis keeps. */
  hash: string;
}

const FORM = /^bps_([a-z0-9][a-z0-9-]{0,62})\.(\d{1,15})\.([\w-]{43})\.([\w-]{22})$/;
const CACHED = 10_000;

export class Tokens {
  readonly #key: Buffer;
  readonly #seen = new Map<string, Caller>();

  /** @param key at least 32 bytes, the same in every replica. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  #mac(purpose: string, text: string): Buffer {
    return createHmac("sha256", this.#key).update(`${purpose}\0${text}`).digest();
  }

  /** 256 random bits from which a secret is derived; useless without the key. */
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

  #tag(body: string): Buffer {
    return this.#mac("tag", body).subarray(0, 16);
  }

  write(namespace: string, sid: number, seed: string): string {
    const body = `${namespace}.${sid}.${this.#secret(seed)}`;
    return `bps_${body}.${this.#tag(body).toString("base64url")}`;
  }

  /** @throws BadToken */
  read(token: string): Caller {
    const seen = this.#seen.get(token);
    if (seen) return seen;
    const parts = FORM.exec(token);
    if (!parts) throw new BadToken("not a session token");
    const [, namespace = "", sid = "", secret = "", tag = ""] = parts;
    // As text: base64url of 16 bytes has spare bits, which would make 16 tokens of one.
    const right = Buffer.from(this.#tag(`${namespace}.${sid}.${secret}`).toString("base64url"));
    const given = Buffer.from(tag);
    if (given.length !== right.length || !timingSafeEqual(given, right)) {
      throw new BadToken("this service never issued that token");
    }
    const caller = { namespace, sid, hash: this.#hashOf(namespace, secret) };
    this.#remember(token, caller);
    return caller;
  }

  /** Bounded: the oldest entry makes room. */
  #remember(token: string, caller: Caller): void {
    if (this.#seen.size >= CACHED) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.set(token, caller);
  }
}
