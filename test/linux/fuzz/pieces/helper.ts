import { BPF_FUNC } from "../../../../domain/isa/helpers/index.ts";
import { and, call, copy, mov } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { STRINGS, TEXT } from "../case_maps.ts";
import { bytes, called, context, KEPT, number, restored, valueAt } from "../emit.ts";
import { code } from "../piece.ts";
import type { Maker } from "../place.ts";

/** Makes pieces that call helpers for packets, checksums and strings. */

/** Emits a number near `most`, which may exceed it. */
const about = (dice: Dice, reg: number, most: number): Buffer =>
  dice.oneIn(12)
    ? mov(reg, dice.from([-1, 0xffff, 0x10000, 4000, dice.imm()]))
    : number(dice, reg, 0, most);

/** Emits the distance by which an end of the packet moves. */
const near = (dice: Dice, reg: number): Buffer =>
  dice.oneIn(12)
    ? mov(reg, dice.from([-256, -228, -216, 4000, dice.imm()]))
    : mov(reg, dice.from([-32, -20, -16, -14, -8, -4, -2, 0, 2, 4, 8, 16, 20, 28, 32, 64]));

/** Emits 0, and rarely the invalid value 1. */
const wrong = (dice: Dice, reg: number): Buffer => mov(reg, dice.oneIn(9) ? 1 : 0);

/** Sets r2 to r4 to an offset, memory and its size. */
const piece = (dice: Dice): Buffer[] => [
  about(dice, 2, 40),
  bytes(dice, 3, 32),
  number(dice, 4, 1, 32),
];

const STORE_FLAGS = [0, 1, 2, 3, 4, -1];
const CSUM_FLAGS = [0, 2, 4, 2, 4, 1, 3, 0x10, 0x12, 0x14, 0x22, 0x62, 0x94, 0x80, 0x100];
/** Lists ETH_P_8021Q and ETH_P_8021AD in network byte order, and other protocols. */
const PROTOCOLS = [0x0081, 0xa888, 0, 8, 0x88a8];

type Arguments = (dice: Dice) => Buffer[];

/** Lists the arguments from r2 on for helpers that take the context first. */
const SKB_CALLS: Readonly<Record<number, Arguments>> = {
  [BPF_FUNC.skb_store_bytes]: (dice) => [...piece(dice), mov(5, dice.from(STORE_FLAGS))],
  [BPF_FUNC.l3_csum_replace]: (dice) => [
    about(dice, 2, 40),
    mov(3, dice.imm()),
    copy(4, 6),
    mov(5, dice.from(CSUM_FLAGS)),
  ],
  [BPF_FUNC.l4_csum_replace]: (dice) => [
    about(dice, 2, 40),
    mov(3, dice.imm()),
    copy(4, 7),
    mov(5, dice.from(CSUM_FLAGS)),
  ],
  [BPF_FUNC.skb_vlan_push]: (dice) => [mov(2, dice.from(PROTOCOLS)), mov(3, dice.imm())],
  [BPF_FUNC.skb_vlan_pop]: () => [],
  [BPF_FUNC.skb_load_bytes]: piece,
  [BPF_FUNC.skb_change_tail]: (dice) => [about(dice, 2, 100), wrong(dice, 3)],
  [BPF_FUNC.skb_pull_data]: (dice) => [about(dice, 2, 60)],
  [BPF_FUNC.csum_update]: (dice) => [copy(2, dice.from(KEPT))],
  // The sizes stay small: each new head doubles the last one until kmalloc() fails, which the
  // service does not imitate.
  [BPF_FUNC.skb_change_head]: (dice) => [about(dice, 2, 3), wrong(dice, 3)],
  [BPF_FUNC.set_hash]: (dice) => [mov(2, dice.imm())],
  [BPF_FUNC.skb_load_bytes_relative]: (dice) => [
    ...piece(dice),
    mov(5, dice.oneIn(9) ? 2 : dice.below(2)),
  ],
};

const XDP_CALLS: Readonly<Record<number, Arguments>> = {
  [BPF_FUNC.xdp_adjust_head]: (dice) => [near(dice, 2)],
  [BPF_FUNC.xdp_adjust_meta]: (dice) => [near(dice, 2)],
  [BPF_FUNC.xdp_adjust_tail]: (dice) => [near(dice, 2)],
  [BPF_FUNC.xdp_get_buff_len]: () => [],
  [BPF_FUNC.xdp_load_bytes]: piece,
  [BPF_FUNC.xdp_store_bytes]: piece,
};

export const packet: Maker = (dice, { type, may }) => {
  const calls = type === "xdp" ? XDP_CALLS : SKB_CALLS;
  const helpers = Object.keys(calls).map(Number).filter(may);
  if (helpers.length === 0) return undefined;
  const helper = dice.from(helpers);
  const args = (calls[helper] as Arguments)(dice);
  return code(...args, context(1), called(dice, helper));
};

const [REDIRECT, CSUM_DIFF, HASH_RECALC, HASH_INVALID, SET_HASH] = [
  BPF_FUNC.redirect,
  BPF_FUNC.csum_diff,
  BPF_FUNC.get_hash_recalc,
  BPF_FUNC.set_hash_invalid,
  BPF_FUNC.set_hash,
];
const [TRACE_PRINTK, STRNCMP] = [BPF_FUNC.trace_printk, BPF_FUNC.strncmp];

/** Reads a hash only after setting it, because the hash of a packet is unpredictable. */
export const hash: Maker = (dice, { may }) => {
  if (!may(SET_HASH)) return undefined;
  if (dice.oneIn(3)) return code(context(1), call(HASH_INVALID), restored(dice, 0));
  const set = [context(1), mov(2, dice.from([1, 7, -1])), called(dice, SET_HASH)];
  return code(...set, context(1), called(dice, HASH_RECALC));
};

export const redirect: Maker = (dice, { may }) => {
  if (!may(REDIRECT)) return undefined;
  const how = mov(2, dice.oneIn(3) ? dice.imm() : dice.below(3));
  return code(mov(1, dice.below(3)), how, called(dice, REDIRECT));
};

/** Emits memory and its size, or NULL and 0. */
function summed(dice: Dice, reg: number): Buffer[] {
  if (dice.oneIn(4)) return [mov(reg, 0), mov(reg + 1, 0)];
  const size = dice.oneIn(4) ? number(dice, reg + 1, 0, 40) : mov(reg + 1, 4 * dice.below(10));
  return [bytes(dice, reg, 40), size];
}

export const sum: Maker = (dice, { may }) => {
  if (!may(CSUM_DIFF)) return undefined;
  const seed = dice.oneIn(3) ? [copy(5, 6), and(5, 0xffff)] : [mov(5, dice.imm())];
  return code(...summed(dice, 1), ...summed(dice, 3), ...seed, called(dice, CSUM_DIFF));
};

export const compared: Maker = (dice, { may }) => {
  if (!may(STRNCMP)) return undefined;
  const [[at], [other]] = [dice.from(STRINGS), dice.from(STRINGS)];
  const one = dice.oneIn(2) ? bytes(dice, 1, 8) : valueAt(1, TEXT.place, other);
  return code(one, number(dice, 2, 1, 8), valueAt(3, TEXT.place, at), called(dice, STRNCMP));
};

export const printed: Maker = (dice, { may }) => {
  if (!may(TRACE_PRINTK)) return undefined;
  const [at, text] = dice.from(STRINGS);
  const size = dice.oneIn(9) ? 1 + dice.below(8) : text.length + 1;
  const args = [copy(3, 6), copy(4, 7), mov(5, dice.imm())];
  return code(valueAt(1, TEXT.place, at), mov(2, size), ...args, called(dice, TRACE_PRINTK));
};
