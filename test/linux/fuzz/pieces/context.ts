import { contextField } from "../../../../domain/verifier/memory/context.ts";
import { insn, load, mov, put, store } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { context, number, recorded, restored, SIZES } from "../emit.ts";
import { code } from "../piece.ts";
import type { InsnPlace, Maker } from "../place.ts";

/** Makes pieces that access fields of the context, or read the packet through it. */

/** These offsets in struct __sk_buff do not depend on the machine. */
const SKB_FIELDS = [
  ...[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72],
  ...[88, 92, 96, 100, 112, 116, 128, 132, 136, 152, 160, 164, 176, 180, 184],
];

/**
 * The kernel stores these fields in fewer bytes. A narrow load from a later offset in the field
 * returns the first bytes, because convert_ctx_accesses() does not shift them; the service does not
 * imitate that.
 */
const KEPT_IN: Readonly<Record<number, number>> = {
  ...{ 4: 1, 12: 2, 16: 2, 24: 2, 28: 2, 44: 2, 72: 2, 88: 2, 132: 2, 136: 2, 164: 2, 176: 2 },
};

const XDP_FIELDS = [12, 16, 20];
const TRIES = 20;

/** Chooses a field that programs of the type may access, according to the service. */
function field(dice: Dice, { type }: InsnPlace, writes: boolean) {
  const fields = type === "xdp" ? XDP_FIELDS : SKB_FIELDS;
  for (let tries = 0; tries < TRIES; tries++) {
    const [base, size] = [dice.from(fields), dice.from(SIZES)];
    const within = dice.oneIn(3) ? dice.below(4) : 0;
    if (type !== "xdp" && within > 0 && size >= (KEPT_IN[base] ?? 8)) continue;
    const off = base + within;
    if (contextField({ progType: type }, off, size, writes) !== null || dice.oneIn(300))
      return { off, size };
  }
  return undefined;
}

export const read: Maker = (dice, place) => {
  const found = field(dice, place, false);
  if (!found) return undefined;
  const { off, size } = found;
  const reg = dice.from([6, 7]);
  return code(context(1), load(size, reg, 1, off), recorded(dice, reg), mov(1, dice.imm()));
};

export const write: Maker = (dice, place) => {
  const found = field(dice, place, true);
  if (!found) return undefined;
  const { off, size } = found;
  const how = dice.oneIn(2) ? store(size, 1, off, 6) : put(size, 1, off, dice.imm());
  return code(context(1), how, mov(1, dice.imm()));
};

const WITH_LEGACY = ["socket_filter", "sched_cls", "sched_act"];
const [SKF_NET_OFF, SKF_LL_OFF] = [-0x100000, -0x200000];
const FAR = [SKF_NET_OFF, SKF_LL_OFF, SKF_NET_OFF + 8, SKF_LL_OFF + 14, -1, 0x7fffffff];

/** Emits LD_ABS or LD_IND, which read the context from r6. */
export const legacy: Maker = (dice, { type, main, described }) => {
  if (!WITH_LEGACY.includes(type) || (!main && !described)) return undefined;
  const abs = dice.from([0x20, 0x28, 0x30]);
  const at = dice.oneIn(6) ? dice.from(FAR) : dice.below(24);
  const how = dice.oneIn(2)
    ? [context(6), insn(abs, 0, 0, 0, at)]
    : [number(dice, 2, 0, 20), context(6), insn(abs + 0x20, 0, 2, 0, at)];
  return code(...how, mov(6, dice.imm()), recorded(dice, 0), restored(dice));
};
