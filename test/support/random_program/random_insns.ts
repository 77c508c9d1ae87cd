import { insn, wide } from "../insns.ts";
import type { Dice } from "../random.ts";

/** Generates random instructions on registers and memory that a random program keeps valid. */

/** These registers hold numbers; r8, r9 and r10 point to DATA, VALUE and FRAME bytes of memory. */
export const SCALARS = [0, 1, 2, 3, 4, 5, 6, 7] as const;
export const DATA = 61;
export const VALUE = 21;
/** The frame below this offset holds the program's own data. */
export const FRAME = 480;

const SIZES = [4, 2, 1, 8] as const;
const FETCHED = [0x00, 0x40, 0x50, 0xa0] as const;

function arithmetic(dice: Dice): Buffer {
  const kind = dice.from([4, 7]);
  const bits = kind === 4 ? 32 : 64;
  const op = dice.from([0, 1, 2, 3, 3, 4, 5, 6, 7, 9, 9, 0xa, 0xb, 0xc]);
  const register = dice.oneIn(2);
  const [dst, src] = [dice.from(SCALARS), dice.from([...SCALARS, 8, 10])];
  const shifts = op === 6 || op === 7 || op === 0xc;
  const imm = shifts ? dice.below(bits) : dice.imm();
  const signed = (op === 3 || op === 9) && dice.oneIn(2) ? 1 : 0;
  const narrow = op === 0xb && register && dice.oneIn(2);
  const off = narrow ? dice.from(bits === 64 ? [8, 16, 32] : [8, 16]) : signed;
  if (register) return insn(kind | 8 | (op << 4), dst, src, off, 0);
  return insn(kind | (op << 4), dst, 0, off, (op === 3 || op === 9) && imm === 0 ? 1 : imm);
}

function unary(dice: Dice): Buffer {
  const dst = dice.from(SCALARS);
  const code = dice.from([0x84, 0x87, 0xd4, 0xdc, 0xd7]);
  return insn(code, dst, 0, 0, code < 0x90 ? 0 : dice.from([16, 32, 64]));
}

function constant(dice: Dice): Buffer {
  return wide(dice.from(SCALARS), 0, dice.imm(), dice.imm());
}

/**
 * Chooses a pointer and an offset at which `size` bytes are valid, aligned if an atomic requires
 * it.
 */
function place(dice: Dice, size: number, aligned: boolean): [reg: number, off: number] {
  const [reg, bytes, start] = dice.from([
    [8, DATA, 0],
    [9, VALUE, 0],
    [10, FRAME, -FRAME],
  ] as const);
  const at = dice.below(bytes - size + 1);
  return [reg, start + (aligned ? at - (at % size) : at)];
}

function memory(dice: Dice): Buffer {
  const which = dice.below(4);
  const size = SIZES[which] as number;
  const [reg, off] = place(dice, size, false);
  const code = which << 3;
  const other = dice.from(SCALARS);
  if (dice.oneIn(3)) return insn(code | 0x62, reg, 0, off, dice.imm());
  if (dice.oneIn(2)) return insn(code | 0x63, reg, other, off);
  const mode = size < 8 && dice.oneIn(2) ? 0x81 : 0x61;
  return insn(code | mode, other, reg, off);
}

function atomic(dice: Dice): Buffer {
  const other = dice.from(SCALARS);
  if (dice.oneIn(2)) {
    const which = dice.below(4);
    const [reg, off] = place(dice, SIZES[which] as number, true);
    const code = 0xc3 | (which << 3);
    if (dice.oneIn(2)) return insn(code, other, reg, off, 0x100);
    return insn(code, reg, other, off, 0x110);
  }
  const which = dice.from([0, 3]);
  const [reg, off] = place(dice, SIZES[which] as number, true);
  const plain = dice.from(FETCHED) | dice.below(2);
  return insn(0xc3 | (which << 3), reg, other, off, dice.from([plain, plain, 0xe1, 0xf1]));
}

/** Generates an access that may be invalid. */
export function wild(dice: Dice): Buffer {
  const which = dice.below(4);
  const reg = dice.from([0, 3, 6, 8, 9, 10]);
  const off = dice.from([-513, -512, -8, -4, -1, 0, 1, 8, 14, 20, 24, 57, 60, 61, 64, 0x7fff]);
  const code = which << 3;
  const kind = dice.below(4);
  if (kind === 0) return insn(code | 0x62, reg, 0, off, dice.imm());
  if (kind === 1) return insn(code | 0x61, 0, reg, off);
  if (kind === 2) return insn(code | 0xc3, 0, reg, off, 0x100);
  return insn(dice.from([0xc3, 0xdb]), reg, 1, off, dice.from([0, 1, 0xe1, 0xf1]));
}

export function plain(dice: Dice): Buffer {
  return dice.from([arithmetic, arithmetic, arithmetic, unary, constant, memory, memory, atomic])(
    dice,
  );
}

/** Generates a conditional jump whose offset is set later. */
export function branch(dice: Dice): Buffer {
  const op = dice.from([1, 2, 3, 4, 5, 6, 7, 0xa, 0xb, 0xc, 0xd]);
  const [dst, src] = [dice.from([...SCALARS, 9]), dice.from(SCALARS)];
  const code = dice.from([5, 6]) | (op << 4);
  return dice.oneIn(2) ? insn(code | 8, dst, src) : insn(code, dst, 0, 0, dice.imm());
}
