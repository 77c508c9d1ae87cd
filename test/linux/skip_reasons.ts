import { BPF_MAP_TYPES } from "../../domain/isa/uapi.ts";
import type { Player, TraceStep } from "./trace.ts";

/** The steps that are not compared, each with its reason. */

/** Calls that no request stands for. */
const OPS: Readonly<Record<string, string>> = {
  creat: "creat has no meaning over HTTP",
  open: "an open file of a pin has no meaning over HTTP",
  readlink: "/proc has no meaning over HTTP",
  fdinfo: "/proc has no meaning over HTTP",
  link_detach: "there are no links",
  vmlinux: "there is no BTF of a kernel",
};

/** The last number of enum bpf_map_type in Linux 6.18. */
const LAST_MAP_TYPE = 34;

/** A map type that Linux knows and the service does not implement. */
function isForeignType({ op, type }: TraceStep): boolean {
  if (op !== "map_create") return false;
  if (typeof type === "number") return type <= LAST_MAP_TYPE && BPF_MAP_TYPES[type] === undefined;
  return !Object.values(BPF_MAP_TYPES).includes(String(type));
}

function usesNullPointer(player: Player, step: TraceStep): boolean {
  const { op, proc = "", fd, key, btf, size = 0, log_null, log_count } = step;
  // A null pointer to nothing is an empty blob.
  if (op === "btf_load") return (btf === null && size > 0) || log_null === true || log_count === 0;
  return key === null && op !== "next_key" && !player.keyless(proc, fd);
}

/** The reason for which a step is not compared, or undefined. */
export function skipReason(player: Player, step: TraceStep): string | undefined {
  const { op, proc = "", fd, btf_fd, info_len, flags } = step;
  if (OPS[op]) return OPS[op];
  if (player.isSkipped(proc, fd) || player.isSkipped(proc, btf_fd)) {
    return "its fd comes from a step that is not compared";
  }
  if (usesNullPointer(player, step)) return "a null pointer has no meaning over HTTP";
  if (isForeignType(step)) return "the service does not implement the map type";
  if (info_len !== undefined) return "the size of a struct has no meaning over HTTP";
  if (op === "next_id" && flags) return "flags of BPF_*_GET_NEXT_ID have no meaning over HTTP";
  return undefined;
}
