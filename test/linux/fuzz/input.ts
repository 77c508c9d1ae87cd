import type { Dice } from "../../support/random.ts";
import { random } from "./case_maps.ts";

/** Generates the packets and contexts of runs. */

const ETHERTYPES = ["0800", "0800", "86dd", "8100", "88a8", "0806", "05dc", "ffff"];

export function frame(dice: Dice): Buffer {
  const type = dice.from(ETHERTYPES);
  const least = type === "86dd" ? 40 : type === "0800" ? 20 : 0;
  const size = dice.oneIn(10) ? dice.below(30) : least + dice.below(60);
  const more = dice.oneIn(25) ? 3000 + dice.below(1500) : 0;
  return Buffer.from(
    `${dice.from(["000000000000", "ffffffffffff", random(dice, 6)])}${random(dice, 6)}` +
      type +
      random(dice, size + more),
    "hex",
  );
}

/** Every machine has interface 1, and none has the last one. */
const INTERFACES = [0, 1, 0x7fffffff];

/** Fills the fields of struct __sk_buff that a test run may set. */
export function skbContext(dice: Dice, data: Buffer): Buffer {
  const ctx = Buffer.alloc(192);
  const some = (off: number, value: number) => dice.oneIn(2) && ctx.writeInt32LE(value | 0, off);
  for (const off of [8, 32, 48, 52, 56, 60, 64, 152, 156, 184]) some(off, dice.imm());
  some(160, dice.oneIn(4) ? dice.imm() : data.length + dice.below(100));
  some(164, dice.below(dice.oneIn(9) ? 70000 : 100));
  some(176, dice.below(2000));
  if (dice.oneIn(20)) some(4 * dice.below(48), dice.imm());
  some(36, dice.below(3));
  ctx.writeInt32LE(dice.oneIn(10) ? dice.from(INTERFACES) : dice.below(2), 40);
  return ctx;
}

export function xdpContext(dice: Dice, data: Buffer): Buffer {
  const ctx = Buffer.alloc(24);
  const meta = dice.oneIn(3) ? dice.from([4, 8, 3, 32, 216, 256]) : 0;
  ctx.writeUInt32LE(meta, 0);
  ctx.writeUInt32LE(dice.oneIn(9) ? dice.below(data.length + 9) : data.length, 4);
  if (dice.oneIn(30)) ctx.writeUInt32LE(dice.imm() >>> 0, 4 * dice.below(6));
  ctx.writeUInt32LE(dice.oneIn(10) ? dice.from(INTERFACES) : dice.below(2), 12);
  return ctx;
}
