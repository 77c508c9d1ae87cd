import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { acceptedCoding, compress, type ResponseCoding } from "./compression.ts";
import type { HandlerResponse } from "./handler.ts";

/**
 * A content that stays the same while the service runs: read and compressed at its first request, then
 * kept. Each coding has an ETag of its own, because a strong ETag names the bytes.
 */

interface KeptVariant {
  bytes: Buffer;
  etag: string;
}

type VariantName = ResponseCoding | "identity";

export class KeptContent {
  readonly #type: string;
  readonly #cacheControl: string;
  readonly #read: () => Buffer;
  readonly #variants = new Map<VariantName, Promise<KeptVariant>>();

  /** @param read called once for each coding. */
  constructor(type: string, read: () => Buffer, cacheControl = "no-cache") {
    this.#type = type;
    this.#read = read;
    this.#cacheControl = cacheControl;
  }

  async respond(headers: IncomingHttpHeaders): Promise<HandlerResponse> {
    // Images are compressed by themselves.
    const isText = !this.#type.startsWith("image/");
    const coding = isText ? acceptedCoding(headers["accept-encoding"]) : undefined;
    const { bytes, etag } = await this.#variant(coding ?? "identity");
    return {
      status: 200,
      bytes,
      type: this.#type,
      headers: {
        etag,
        "cache-control": this.#cacheControl,
        ...(isText && { vary: "Accept-Encoding" }),
        ...(coding && { "content-encoding": coding }),
      },
    };
  }

  #variant(name: VariantName): Promise<KeptVariant> {
    const known = this.#variants.get(name);
    if (known) return known;
    const made = this.#make(name);
    this.#variants.set(name, made);
    return made;
  }

  async #make(name: VariantName): Promise<KeptVariant> {
    const content = this.#read();
    const hash = createHash("sha256").update(content).digest("base64url").slice(0, 22);
    if (name === "identity") return { bytes: content, etag: `"${hash}"` };
    return { bytes: await compress(content, name, true), etag: `"${hash}-${name}"` };
  }
}
