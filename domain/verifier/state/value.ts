import { formatSigned, formatUnsigned, formatRange as showRange } from "../scalar/coerce.ts";
import type { Range } from "../scalar/range.ts";
import * as range from "../scalar/range.ts";
import type { MapFacts } from "../verdict.ts";
import { Precision } from "./precision.ts";

/** struct bpf_reg_state: the number or pointer that a register or a spilled stack slot holds. */

/** Kinds as the log names them; "none" was never written, "any" is not modelled. */
export type ValueKind =
  | "none"
  | "any"
  | "scalar"
  | "ctx"
  | "map_ptr"
  | "map_value"
  | "map_key"
  | "fp"
  | "pkt"
  | "pkt_meta"
  | "pkt_end"
  | "mem"
  | "sock_common"
  | "sock"
  | "tcp_sock"
  | "xdp_sock"
  | "ringbuf_mem"
  | "dynptr_ptr"
  | "func";

export interface RegisterValue {
  readonly kind: ValueKind;
  /** The pointer may be NULL: the log says "_or_null". */
  readonly canBeNull: boolean;
  /** Fixed offset of a pointer; of a linked scalar how much was added since it was a copy. */
  readonly off: number;
  /** The number, or the variable part of a pointer's offset. */
  readonly range: Range;
  /** Linux knows no more of the number than `range` says, so what follows from it is certain. */
  readonly isExact: boolean;
  /** The same in all copies of a number or of a possible NULL; 0 for none. */
  readonly id: number;
  /** BPF_ADD_CONST: a copy to which `off` was added. */
  readonly isLinked: boolean;
  /** Id of the reference that must be released; 0 for none. */
  readonly ref: number;
  /** Id of the dynptr that it is, or whose memory it points to; 0 for none. */
  readonly dynptr: number;
  readonly map: MapFacts | null;
  /** Bytes behind it: of a packet as far as compared with its end, of memory as allocated. */
  readonly size: number;
  /** The frame of a frame pointer; the first instruction of a function. */
  readonly home: number;
  readonly precision: Precision;
}

/** `size` of a packet pointer that is at the end of the packet, or past it. */
export const AT_END = -1;
export const PAST_END = -2;

const PLAIN: RegisterValue = {
  kind: "scalar",
  canBeNull: false,
  off: 0,
  range: range.ZERO,
  isExact: true,
  id: 0,
  isLinked: false,
  ref: 0,
  dynptr: 0,
  map: null,
  size: 0,
  home: 0,
  precision: new Precision(),
};

export const value = (kind: ValueKind, fields: Partial<RegisterValue> = {}): RegisterValue => ({
  ...PLAIN,
  ...fields,
  kind,
});

export const NOT_INIT = value("none");
export const UNMODELLED = value("any", { range: range.UNKNOWN, isExact: false });
export const UNKNOWN = value("scalar", { range: range.UNKNOWN });
export const FRAME_POINTERS: readonly RegisterValue[] = Array.from({ length: 9 }, (_, home) =>
  value("fp", { home }),
);

/** @param from, by the values that the number was computed from. */
export function scalar(
  known: Range,
  isExact: boolean,
  from?: RegisterValue,
  by?: RegisterValue,
): RegisterValue {
  const precision =
    from === undefined ? new Precision() : Precision.derivedFrom(from.precision, by?.precision);
  return { ...PLAIN, range: known, isExact, precision };
}

export const constant = (n: bigint): RegisterValue => scalar(range.constant(n), true);

/** A range is shared where it is a constant. */
export const shared = (known: Range): Range =>
  range.isConst(known) ? range.constant(known.bits.value) : known;

export const isScalar = (v: RegisterValue): boolean => v.kind === "scalar";
export const isPointer = (v: RegisterValue): boolean =>
  v.kind !== "scalar" && v.kind !== "any" && v.kind !== "none";
export const isPacket = (v: RegisterValue): boolean => v.kind === "pkt" || v.kind === "pkt_meta";
export const isConst = (v: RegisterValue): boolean => isScalar(v) && range.isConst(v.range);
export const isNull = (v: RegisterValue): boolean => isScalar(v) && range.isZero(v.range);
/** Whether its number takes so many bytes at most. */
export const fits = (v: RegisterValue, bytes: number): boolean =>
  v.range.umax < 1n << BigInt(bytes * 8);

export const typeName = (v: RegisterValue): string => (v.canBeNull ? `${v.kind}_or_null` : v.kind);

/** What a lookup in a map of sockets yields. */
const SOCKETS: Readonly<Record<string, ValueKind>> = {
  sockmap: "sock",
  sockhash: "sock",
  xskmap: "xdp_sock",
};

/** Whether the map holds sockets that a lookup takes references on. */
export const isSocketMap = (map: MapFacts | null): boolean =>
  SOCKETS[map?.map_type ?? ""] === "sock";

/** mark_ptr_not_null_reg(): a lookup in a map of maps becomes a map; locks keep their ids. */
export function notNull(v: RegisterValue): RegisterValue {
  const socket = v.kind === "map_value" ? SOCKETS[v.map?.map_type ?? ""] : undefined;
  if (socket !== undefined) return { ...v, kind: socket, canBeNull: false, id: 0, map: null };
  const isOuter = v.map?.map_type === "array_of_maps" || v.map?.map_type === "hash_of_maps";
  const id = isPacket(v) || v.map?.locks ? v.id : 0;
  if (v.kind !== "map_value" || !isOuter) return { ...v, canBeNull: false, id };
  if (!v.map?.inner) return UNMODELLED;
  return { ...v, kind: "map_ptr", canBeNull: false, id, map: v.map.inner };
}

function details(v: RegisterValue): string[] {
  const parts: string[] = [];
  const added = v.isLinked ? (v.off < 0 ? `${v.off}` : `+${v.off}`) : "";
  if (v.id !== 0) parts.push(`id=${v.id}${added}`);
  if (v.ref !== 0) parts.push(`ref_obj_id=${v.ref}`);
  if (v.kind.startsWith("map_")) {
    if (v.map?.name) parts.push(`map=${v.map.name}`);
    parts.push(`ks=${v.map?.key_size}`, `vs=${v.map?.value_size}`);
  }
  if (v.kind !== "scalar" && v.off !== 0) parts.push(`off=${formatSigned(BigInt(v.off))}`);
  if (isPacket(v)) parts.push(`r=${formatUnsigned(BigInt.asUintN(64, BigInt(v.size)))}`);
  if (v.kind === "ringbuf_mem" || v.kind === "mem") parts.push(`sz=${v.size}`);
  if (!range.isConst(v.range)) parts.push(...showRange(v.range));
  else if (!range.isZero(v.range)) parts.push(`imm=${formatSigned(v.range.smin)}`);
  return parts;
}

/** print_reg_state(). */
export function showRegister(v: RegisterValue, frame: number): string {
  if (isConst(v)) return formatSigned(v.range.smin);
  const other = v.kind === "fp" && v.home !== frame ? `[${v.home}]` : "";
  if (v.kind === "fp" && range.isConst(v.range)) {
    return `fp${other}${formatSigned(v.range.smin + BigInt(v.off))}`;
  }
  return `${typeName(v)}${other}(${details(v).join(",")})`;
}
