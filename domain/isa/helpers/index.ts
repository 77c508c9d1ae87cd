import { BASE_HELPERS } from "./base.ts";
import { CGROUP_HELPERS } from "./cgroup.ts";
import type { HelperRow } from "./helper_row.ts";
import { MAP_HELPERS } from "./map.ts";
import { OUTPUT_HELPERS } from "./output.ts";
import { PACKET_HELPERS } from "./packet.ts";
import { SOCKET_HELPERS } from "./socket.ts";
import { TRACING_HELPERS } from "./tracing.ts";

/** The helpers of Linux 6.18 (__BPF_FUNC_MAPPER), by number and by name. */

const ROWS = [
  ...BASE_HELPERS,
  ...MAP_HELPERS,
  ...OUTPUT_HELPERS,
  ...PACKET_HELPERS,
  ...SOCKET_HELPERS,
  ...CGROUP_HELPERS,
  ...TRACING_HELPERS,
] as const;

export type HelperName = (typeof ROWS)[number]["name"];

/** Sorted by id. Invariant: the row of a helper is at the index of its id. */
export const HELPER_ROWS: readonly (HelperRow & { readonly name: HelperName })[] = [...ROWS].sort(
  (a, b) => a.id - b.id,
);

/** enum bpf_func_id */
export const BPF_FUNC = Object.fromEntries(ROWS.map(({ name, id }) => [name, id])) as Readonly<
  Record<HelperName, number>
>;

/** undefined for a number that Linux 6.18 does not have. */
export const helperOf = (id: number): HelperName | undefined => HELPER_ROWS[id]?.name;

export const isHelper = (id: number): boolean => helperOf(id) !== undefined;

export function helperName(id: number): string {
  const row = HELPER_ROWS[id];
  return row === undefined ? "unknown" : `bpf_${row.name}`;
}
