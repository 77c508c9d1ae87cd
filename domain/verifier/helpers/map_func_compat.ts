import { BPF_FUNC, HELPER_ROWS, type HelperName } from "../../isa/helpers/index.ts";
import { BPF_MAP_TYPES, FOREIGN_MAP_TYPES } from "../../isa/uapi.ts";
import type { MapFacts } from "../verdict.ts";

/** Which helpers take which maps (check_map_func_compatibility of Linux 6.18): both have their say. */

/** Map types that only some helpers take. */
const TAKEN_BY: Readonly<Record<string, readonly HelperName[]>> = {
  prog_array: ["tail_call"],
  perf_event_array: [
    "perf_event_read",
    "perf_event_output",
    "perf_event_read_value",
    "skb_output",
    "xdp_output",
  ],
  ringbuf: [
    "ringbuf_output",
    "ringbuf_reserve",
    "ringbuf_query",
    "ringbuf_reserve_dynptr",
    "ringbuf_submit_dynptr",
    "ringbuf_discard_dynptr",
  ],
  stack_trace: ["get_stackid"],
  cgroup_array: ["skb_under_cgroup", "current_task_under_cgroup"],
  array_of_maps: ["map_lookup_elem"],
  hash_of_maps: ["map_lookup_elem"],
  devmap: ["map_lookup_elem", "redirect_map"],
  devmap_hash: ["map_lookup_elem", "redirect_map"],
  cpumap: ["redirect_map"],
  queue: ["map_push_elem", "map_pop_elem", "map_peek_elem"],
  stack: ["map_push_elem", "map_pop_elem", "map_peek_elem"],
  bloom_filter: ["map_push_elem", "map_peek_elem"],
};

const TAKERS: ReadonlyMap<string, ReadonlySet<number>> = new Map(
  Object.entries(TAKEN_BY).map(([type, helpers]) => [
    type,
    new Set(helpers.map((name) => BPF_FUNC[name])),
  ]),
);

/** The numbers of map types, as the log gives them. */
export const MAP_TYPE_NUMBERS: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries({ ...BPF_MAP_TYPES, ...FOREIGN_MAP_TYPES }).map(([id, name]) => [
    name,
    Number(id),
  ]),
);

export function isCompatible(helper: number, map: MapFacts): boolean {
  if (MAP_TYPE_NUMBERS[map.map_type] === undefined) return true;
  if (TAKERS.get(map.map_type)?.has(helper) === false) return false;
  return HELPER_ROWS[helper]?.maps?.includes(map.map_type) !== false;
}

/** Maps that bpf_for_each_map_elem() walks (map_for_each_callback). */
const WALKED = new Set([
  "hash",
  "array",
  "percpu_hash",
  "percpu_array",
  "lru_hash",
  "lru_percpu_hash",
]);

export const isWalked = (map: MapFacts): boolean =>
  WALKED.has(map.map_type) || MAP_TYPE_NUMBERS[map.map_type] === undefined;
