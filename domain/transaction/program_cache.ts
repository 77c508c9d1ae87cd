import { createHash } from "node:crypto";
import type { CompilationUnit } from "../compiler/abi.ts";
import type { MapShape } from "../isa/map_shape.ts";
import { RUN_PROG } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { bytes, list, nameFields, number, text } from "../redis/reply.ts";
import type { ProgramView } from "../runtime/job.ts";
import { LruCache } from "./lru_cache.ts";
import { decodeMapAttributes } from "./map_snapshot.ts";
import type { ProofCache } from "./proof_cache.ts";

/** Caches programs. A program never changes, so this process reads each from Redis once. */

interface CachedProgram {
  loadTime: string;
  type: string;
  view: ProgramView & { unit: CompilationUnit };
  /** The id and the type of each of its maps. */
  maps: { id: number; type: string }[];
}

const BYTES_MAX = 64 << 20;
/** What an entry takes beside its bytes, and for each of its maps, as measured. */
const ENTRY_BYTES = 1024;
const MAP_BYTES = 256;

function weigh({ insns, maps, provenAccesses }: CompilationUnit): number {
  return insns.length + (provenAccesses?.length ?? 0) + ENTRY_BYTES + MAP_BYTES * maps.length;
}

/** Programs with the same code have the same key, so that a thread compiles it once. */
export function hashCode({ insns, maps, prog_type, func_info }: CompilationUnit): string {
  const shapes = maps.map(
    ({ map_type, key_size, value_size, max_entries, map_flags, locks = [] }) =>
      [map_type, key_size, value_size, max_entries, map_flags, ...locks].join(" "),
  );
  const hash = createHash("sha256").update(insns);
  hash.update([prog_type, func_info ? "func_info" : "", ...shapes].join("\n"));
  return hash.digest("base64url");
}

export class ProgramCache {
  readonly #programs = new LruCache<CachedProgram>(BYTES_MAX);
  readonly #proofs: ProofCache;

  constructor(proofs: ProofCache) {
    this.#proofs = proofs;
  }

  get(namespace: string, id: number): CachedProgram | undefined {
    return this.#programs.get(`${namespace} ${id}`);
  }

  /** The load time tells programs of the same id apart when a namespace was reset. */
  loadTimeOf(namespace: string, id: number): string {
    return this.get(namespace, id)?.loadTime ?? "";
  }

  /** @param row of test_run.lua: the fields of RUN_PROG, then the instructions. */
  add(namespace: string, id: number, row: RedisValue): CachedProgram {
    const values = list(row);
    const { load_time, prog_type, func_info, maps: rows } = nameFields(RUN_PROG, values);
    const attributes = list(rows).map(decodeMapAttributes);
    const maps: MapShape[] = attributes;
    // A part of the reply would keep all of it in memory.
    const insns = new Uint8Array(bytes(values[RUN_PROG.length]));
    const code = {
      ...{ insns, maps, prog_type: text(prog_type) },
      func_info: number(func_info) === 1,
    };
    const key = hashCode(code);
    const provenAccesses = this.#proofs.get(key);
    const unit = { ...code, ...(provenAccesses ? { provenAccesses } : {}) };
    const program = {
      loadTime: text(load_time),
      type: text(prog_type),
      view: { id, key, unit, maps: attributes.map((map) => map.id) },
      maps: attributes.map((map) => ({ id: map.id, type: map.map_type })),
    };
    this.#programs.set(`${namespace} ${id}`, program, weigh(unit));
    return program;
  }
}
