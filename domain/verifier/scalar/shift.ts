import { BPF_ARSH, BPF_LSH, BPF_RSH } from "../../isa/opcodes.ts";
import * as range from "./range.ts";
import { type Range, S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32_MAX, U64_MAX } from "./range.ts";
import * as tnum from "./tnum.ts";

/** The shifts of adjust_scalar_min_max_vals() of Linux 6.18: ranges shifted by a constant. */

function left32(r: Range, a: Range, by: number): void {
  r.smin32 = S32_MIN;
  r.smax32 = S32_MAX;
  const lost = by > 31 || a.umax32 > 2 ** (31 - by);
  r.umin32 = lost ? 0 : (a.umin32 << by) >>> 0;
  r.umax32 = lost ? U32_MAX : (a.umax32 << by) >>> 0;
}

function left64(r: Range, a: Range, by: bigint): void {
  r.smin = by === 32n ? BigInt(a.smin32) << 32n : S64_MIN;
  r.smax = by === 32n ? BigInt(a.smax32) << 32n : S64_MAX;
  const lost = a.umax > 1n << (63n - by);
  r.umin = lost ? 0n : a.umin << by;
  r.umax = lost ? U64_MAX : a.umax << by;
}

/** Shifts are by a constant below the width. */
const SHIFTS_64: Readonly<Record<number, (r: Range, a: Range, by: bigint) => void>> = {
  [BPF_LSH]: (r, a, by) => {
    left64(r, a, by);
    left32(r, a, Number(by));
    r.bits = tnum.shiftLeft(a.bits, by);
  },
  [BPF_RSH]: (r, a, by) => {
    r.forget64().forget32();
    r.bits = tnum.shiftRight(a.bits, by);
    r.umin = a.umin >> by;
    r.umax = a.umax >> by;
  },
  [BPF_ARSH]: (r, a, by) => {
    r.forget64().forget32();
    r.bits = tnum.shiftSigned(a.bits, by, 64);
    r.smin = a.smin >> by;
    r.smax = a.smax >> by;
  },
};

const SHIFTS_32: Readonly<Record<number, (r: Range, a: Range, by: number) => void>> = {
  [BPF_LSH]: (r, a, by) => {
    left32(r, a, by);
    r.bits = tnum.low(tnum.shiftLeft(tnum.low(a.bits), BigInt(by)));
  },
  [BPF_RSH]: (r, a, by) => {
    r.forget32();
    r.bits = tnum.shiftRight(tnum.low(a.bits), BigInt(by));
    r.umin32 = a.umin32 >>> by;
    r.umax32 = a.umax32 >>> by;
  },
  [BPF_ARSH]: (r, a, by) => {
    r.forget32();
    r.bits = tnum.shiftSigned(tnum.low(a.bits), BigInt(by), 32);
    r.smin32 = a.smin32 >> by;
    r.smax32 = a.smax32 >> by;
  },
};

/** The range of a shifted by b, before it is synced; null if `op` does not shift, or not by a constant. */
export function shift(op: number, wide: boolean, a: Range, b: Range): Range | null {
  const constant = wide ? range.isConst(b) : range.isConst32(b) && b.umin32 === b.umax32;
  const by = wide ? b.umax : BigInt(b.umax32);
  const shift64 = SHIFTS_64[op];
  const shift32 = SHIFTS_32[op];
  if (!shift64 || !shift32 || !constant || by >= (wide ? 64n : 32n)) return null;
  const r = a.copy();
  if (wide) {
    shift64(r, a, by);
    range.fromBits(r);
  } else {
    shift32(r, a, Number(by));
    r.forget64();
    range.fromBits32(r);
  }
  return r;
}
