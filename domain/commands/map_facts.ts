import { INNER_MAP, PROG_MAP } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { list, nameFields, number, text } from "../redis/reply.ts";
import { parseLocks } from "../transaction/map_snapshot.ts";
import type { MapFacts } from "../verifier/verifier.ts";

/** Decodes the maps of a program, which prog_resolve describes for the verifier. */

/** @param words type, sizes, flags and, if the values have locks, their offsets. */
function shape(words: readonly string[], max_entries: number, btf: boolean): MapFacts {
  const [map_type = "", key_size, value_size, map_flags, locks = ""] = words;
  return {
    ...{ map_type, max_entries, btf },
    ...{ key_size: Number(key_size), value_size: Number(value_size), map_flags: Number(map_flags) },
    ...(locks ? parseLocks(locks) : {}),
  };
}

export function mapFacts(row: RedisValue): MapFacts {
  const values = list(row);
  const map = nameFields(PROG_MAP, values);
  const { map_type, key_size, value_size, map_flags, locks } = map;
  const words = [map_type, key_size, value_size, map_flags, ...(locks ? [locks] : [])].map(text);
  const own = shape(words, number(map.max_entries), number(map.btf) === 1);
  const frozen = number(map.frozen) === 1;
  const facts = { ...own, id: number(map.id), name: text(map.map_name), frozen };
  const template = nameFields(INNER_MAP, values.slice(PROG_MAP.length));
  if (!template.inner) return facts;
  const [entries, btf] = [number(template.inner_max_entries), number(template.inner_btf) === 1];
  return { ...facts, inner: shape(text(template.inner).split(" "), entries, btf) };
}
