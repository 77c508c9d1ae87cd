import type { CompilationUnit } from "../compiler/abi.ts";
import { LruCache } from "./lru_cache.ts";

/**
 * What this process's verifier proved of the programs that it loaded, by the key of their code. A program
 * that another process loaded has no entry: the thread that compiles it verifies it again.
 */

const BYTES_MAX = 16 << 20;
/** What an entry takes beside the proof: key, map entry, array header. */
const ENTRY_BYTES = 512;

export class ProofCache {
  readonly #proofs = new LruCache<Uint8Array>(BYTES_MAX);

  /** @param key hashCode() of the unit. */
  keep(key: string, { provenAccesses }: CompilationUnit): void {
    if (provenAccesses === undefined) return;
    this.#proofs.set(key, provenAccesses, provenAccesses.length + ENTRY_BYTES);
  }

  get(key: string): Uint8Array | undefined {
    return this.#proofs.get(key);
  }
}
