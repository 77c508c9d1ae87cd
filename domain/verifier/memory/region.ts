import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } from "../../isa/uapi.ts";
import * as range from "../scalar/range.ts";
import * as tnum from "../scalar/tnum.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { isPacket, type RegisterValue, typeName } from "../state/value.ts";
import type { RegAccess } from "./stack.ts";

/**
 * check_mem_region_access() of Linux 6.18 and its relatives: an access stays within the region of
 * its pointer. Offsets are relative to the fixed offset of the pointer.
 */

/** The access of an instruction. */
export interface InsnAccess extends RegAccess {
  /** Atomics must be aligned in all memory. */
  readonly isStrict?: boolean;
  readonly isSigned?: boolean;
}

const MAX_VAR_OFF = 1n << 29n;
const LOCK_BYTES = 4;
/** prog_flags */
const STRICT_ALIGNMENT = 1;

function eacces(text: string, isCertain: boolean): never {
  throw new Refused("EACCES", text, isCertain);
}

/** An access with its whole offset, at one of its bounds. */
interface BoundAccess {
  readonly reg: number;
  readonly off: bigint;
  readonly size: number;
}

function outOfRegionText(
  pointer: RegisterValue,
  { reg, off, size }: BoundAccess,
  room: number,
): string {
  const place = `off=${off} size=${size}`;
  switch (pointer.kind) {
    case "map_value":
      return `invalid access to map value, value_size=${room} ${place}`;
    case "map_key":
      return `invalid access to map key, key_size=${room} ${place}`;
    case "pkt":
    case "pkt_meta": {
      const what = `R${reg}(id=${pointer.id},off=${off},r=${room})`;
      return `invalid access to packet, off=${off} size=${size}, ${what}`;
    }
    default:
      return `invalid access to memory, mem_size=${room} ${place}`;
  }
}

function isWithin(off: bigint, size: number, room: number): boolean {
  return off >= 0n && size >= 0 && off + BigInt(size) <= BigInt(room);
}

/** Bytes of the region, unless it is a packet. */
function regionSize(pointer: RegisterValue): number {
  if (pointer.kind === "map_value") return pointer.map?.value_size ?? 0;
  if (pointer.kind === "map_key") return pointer.map?.key_size ?? 0;
  return pointer.size;
}

function checkPacketAccess(pointer: RegisterValue, reg: number, off: number, size: number): void {
  const { range: r, isExact } = pointer;
  if (r.smin < 0n) {
    const hint = "either use unsigned index or do a if (index >=0) check.";
    eacces(`R${reg} min value is negative, ${hint}`, isExact);
  }
  const end = `R${reg} offset is outside of the packet`;
  if (pointer.size < 0) throw new Refused("EINVAL", end, isExact);
  const at = BigInt(pointer.off + off);
  if (isWithin(at, size, pointer.size)) return;
  eacces(`${outOfRegionText(pointer, { reg, off: at, size }, pointer.size)}\n${end}`, isExact);
}

function refuseBound(pointer: RegisterValue, access: BoundAccess, bound: "min" | "max"): never {
  const why = `R${access.reg} ${bound} value is outside of the allowed memory range`;
  return eacces(
    `${outOfRegionText(pointer, access, regionSize(pointer))}\n${why}`,
    pointer.isExact,
  );
}

/** check_mem_region_access() and check_packet_access() */
export function checkMemRegionAccess(
  pointer: RegisterValue,
  reg: number,
  off: number,
  size: number,
): void {
  if (isPacket(pointer)) {
    checkPacketAccess(pointer, reg, off, size);
    return;
  }
  const { range: r, isExact } = pointer;
  const fixed = BigInt(pointer.off + off);
  const room = regionSize(pointer);
  const first = r.smin + fixed;
  const wraps = r.smin === range.S64_MIN || first !== BigInt.asIntN(32, first);
  if (r.smin < 0n && (wraps || first < 0n)) {
    const hint = "either use unsigned index or do a if (index >=0) check.";
    eacces(`R${reg} min value is negative, ${hint}`, isExact);
  }
  const low = BigInt.asIntN(32, first);
  if (!isWithin(low, size, room)) refuseBound(pointer, { reg, off: low, size }, "min");
  if (!range.isConst(r)) {
    if (r.umax >= MAX_VAR_OFF) {
      const hint = "make sure to bounds check any such access";
      eacces(`R${reg} unbounded memory access, ${hint}`, isExact);
    }
    const high = BigInt.asIntN(32, r.umax + fixed);
    if (!isWithin(high, size, room)) refuseBound(pointer, { reg, off: high, size }, "max");
  }
  checkNotSpinLock(pointer, fixed, size);
}

/** check_map_access() */
function checkNotSpinLock(
  { kind, map, range: r, isExact }: RegisterValue,
  off: bigint,
  size: number,
): void {
  if (kind !== "map_value") return;
  const [first, end] = [r.smin + off, r.umax + off + BigInt(size)];
  const isTouched = (at: number) => first < at + LOCK_BYTES && BigInt(at) < end;
  if (!map?.locks?.some(isTouched)) return;
  eacces("bpf_spin_lock cannot be accessed directly by load/store", isExact);
}

/** BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG. */
export function checkMapAccessType(
  pointer: RegisterValue,
  off: number,
  size: number,
  writes: boolean,
): void {
  const { map_flags = 0, value_size = 0 } = pointer.map ?? {};
  const forbidden = map_flags & (writes ? BPF_F_RDONLY_PROG : BPF_F_WRONLY_PROG);
  if (forbidden === 0) return;
  const what = writes ? "write into" : "read from";
  const place = `value_size=${value_size} off=${pointer.off + off} size=${size}`;
  eacces(`${what} map forbidden, ${place}`, true);
}

/** bpf_map_is_rdonly(): Linux may know the values when the program is loaded. */
export const isRdonlyMap = ({ map }: RegisterValue): boolean =>
  map?.frozen === true && (map.map_flags & BPF_F_RDONLY_PROG) !== 0;

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  pkt: "packet ",
  pkt_meta: "packet ",
  map_key: "key ",
  map_value: "value ",
  ctx: "context ",
  fp: "stack ",
};

/** check_ptr_alignment(): strict for the stack, for atomics, and with BPF_F_STRICT_ALIGNMENT. */
export function checkPtrAlignment(
  env: VerifierEnv,
  pointer: RegisterValue,
  { off, size, isStrict = false }: InsnAccess,
): void {
  const isRequired = isStrict || ((env.options.progFlags ?? 0) & STRICT_ALIGNMENT) !== 0;
  if (size === 1 || (pointer.kind !== "fp" && !isRequired)) return;
  const packet = isPacket(pointer);
  const shift = BigInt(pointer.off + off + (packet ? 2 : 0));
  if (tnum.isAligned(tnum.add(pointer.range.bits, tnum.constant(shift)), BigInt(size))) return;
  const bits = tnum.show(pointer.range.bits);
  const what = `${DESCRIPTIONS[pointer.kind] ?? ""}access off`;
  const place = packet ? `2+${bits}+${pointer.off}+${off}` : `${bits}+${pointer.off}+${off}`;
  eacces(`misaligned ${what} ${place} size ${size}`, pointer.isExact);
}

/** check_ptr_off_reg(): the pointer has no offset. */
export function checkPtrOffReg(pointer: RegisterValue, reg: number): void {
  const { off, range: r, isExact } = pointer;
  const name = typeName(pointer);
  if (off < 0) eacces(`negative offset ${name} ptr R${reg} off=${off} disallowed`, true);
  if (off !== 0) eacces(`dereference of modified ${name} ptr R${reg} off=${off} disallowed`, true);
  if (range.isZero(r)) return;
  eacces(`variable ${name} access var_off=${tnum.show(r.bits)} disallowed`, isExact);
}
