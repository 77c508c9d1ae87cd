import type { Dice } from "../../support/random.ts";
import type { Piece, PieceTree } from "./piece.ts";

/**
 * Changes single instructions, so that the verifier refuses a program or accepts it for other
 * reasons.
 */

/** A ld_imm64 is never changed, because its second half would become an instruction. */
const WIDE = [0x18, 0x00];

function changed(dice: Dice, insns: Buffer): Buffer {
  const out = Buffer.from(insns);
  const at = 8 * dice.below(out.length / 8);
  if (WIDE.includes(out.readUInt8(at))) return out;
  const registers = out.readUInt8(at + 1);
  const kind = dice.below(6);
  if (kind === 0) out.writeUInt8((registers & 0xf0) | dice.below(11), at + 1);
  else if (kind === 1) out.writeUInt8((registers & 0x0f) | (dice.below(11) << 4), at + 1);
  else if (kind === 2) out.writeInt16LE(dice.from([0, 1, -8, 8, 64, -1, 0x7fff]), at + 2);
  else if (kind === 3) out.writeInt32LE(dice.imm(), at + 4);
  else if (kind === 4) out.writeUInt8(out.readUInt8(at) ^ (1 << dice.below(8)), at);
  else return Buffer.concat([out.subarray(0, at), out.subarray(at + 8)]);
  return out;
}

function mutated(dice: Dice, piece: Piece): Piece {
  if (piece.body && piece.body.length > 0 && dice.oneIn(2)) {
    return { ...piece, body: mutatedOne(dice, piece.body) };
  }
  // A piece that calls a function keeps its call, because linking needs it.
  if (piece.calls || piece.fixed || piece.head.length === 0) return piece;
  const head = changed(dice, piece.head);
  return head.length === 0 ? piece : { ...piece, head };
}

function mutatedOne(dice: Dice, pieces: readonly Piece[]): readonly Piece[] {
  const at = dice.below(pieces.length);
  return pieces.with(at, mutated(dice, pieces[at] as Piece));
}

export function mutate(dice: Dice, tree: PieceTree): PieceTree {
  const at = dice.below(tree.functions.length);
  const functions = tree.functions.map((self, i) =>
    i === at ? { ...self, body: mutatedOne(dice, self.body) } : self,
  );
  return { ...tree, functions };
}
