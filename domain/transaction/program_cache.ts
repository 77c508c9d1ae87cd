import { createHash } from "node:crypto";
import type { CompilationUnit, MapShape } from "../compiler/abi.ts";
import { RUN_PROG } from "../redis/records.ts";
import { bytes, list, nameFields, number, text } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
import type { ProgramView } from "../runtime/job.ts";
import { LruCache } from "./lru_cache.ts";
import { decodeMapAttributes } from "./map_snapshot.ts";

/** Programs that this process has seen. They never change, so that each is read from Redis once. */

interface Known {
  loaded: string;
  type: string;
  view: ProgramView & { unit: CompilationUnit };
  /** Of each of its maps the id and the type. */
  maps: { id: number; type: string }[];
}

const BYTES_MAX = 64 << 20;

/** The same for the same code, however often it was loaded. */
export function codeKey({ insns, maps, prog_type, func_info }: CompilationUnit): string {
  const shapes = maps.map(
    ({ map_type, key_size, value_size, max_entries, map_flags, locks = [] }) =>
      [map_type, key_size, value_size, max_entries, map_flags, ...locks].join(" "),
  );
  const hash = createHash("sha256").update(insns);
  hash.update([prog_type, func_info ? "func_info" : "", ...shapes].join("\n"));
  return hash.digest("base64url");
}

export class ProgramCache {
  readonly #known = new LruCache<Known>(BYTES_MAX);

  get(namespace: string, id: number): Known | undefined {
    return this.#known.get(`${namespace} ${id}`);
  }

  /** When it was loaded, which tells it from one of the same id in a namespace begun anew. */
  loaded(namespace: string, id: number): string {
    return this.get(namespace, id)?.loaded ?? "";
  }

  /** @param row of test_run.lua: the fields of RUN_PROG, then the instructions. */
  keep(namespace: string, id: number, row: RedisValue): Known {
    const values = list(row);
    const { load_time, prog_type, func_info, maps: rows } = nameFields(RUN_PROG, values);
    const all = list(rows).map(decodeMapAttributes);
    const maps: MapShape[] = all;
    const unit = {
      ...{ insns: bytes(values[RUN_PROG.length]), maps, prog_type: text(prog_type) },
      func_info: number(func_info) === 1,
    };
    const known = {
      loaded: text(load_time),
      type: text(prog_type),
      view: { id, key: codeKey(unit), unit, maps: all.map((map) => map.id) },
      maps: all.map((map) => ({ id: map.id, type: map.map_type })),
    };
    this.#known.set(`${namespace} ${id}`, known, unit.insns.length + 1024);
    return known;
  }
}
