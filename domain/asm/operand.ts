import { helperName, isHelper } from "../isa/helpers/index.ts";
import { classOf, type Insn, isCall } from "../isa/insn.ts";
import {
  BPF_ALU64,
  BPF_DW,
  BPF_JA,
  BPF_JMP,
  BPF_JMP32,
  BPF_LD,
  BPF_MEM,
  BPF_ST,
  LD_IMM64,
} from "../isa/opcodes.ts";
import type { Syntax, SyntaxField } from "./grammar.ts";
import { type AsmToken, parseBigInt, parseNumber, quote, SyntaxFault } from "./lexer.ts";

/**
 * Writes operands into the fields of an instruction. A value that does not fit is rejected, never
 * cut.
 */

/** An instruction whose fields are still being set. */
export interface InsnDraft {
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
  /** imm of the second half of a ld_imm64. */
  next: number;
  /** A label or helper that is resolved later. */
  name: AsmToken | undefined;
  /** The instruction names its map by id, not by fd. */
  byId: boolean;
}

const I16 = [-0x8000, 0x7fff] as const;
const I32 = [-0x8000_0000, 0x7fff_ffff] as const;
const U32 = [0, 0xffff_ffff] as const;
const BITS32 = [I32[0], U32[1]] as const;
const [LOW64, HIGH64] = [-(2n ** 63n), 2n ** 64n - 1n];

type OperandRange = readonly [low: number, high: number];

const outOfRange = (
  { at, text }: AsmToken,
  low: number | bigint,
  high: number | bigint,
): SyntaxFault =>
  new SyntaxFault(at, `must be an integer from ${low} to ${high}, got ${quote(text)}`);

function parseInRange(token: AsmToken, [low, high]: OperandRange): number {
  const value = parseNumber(token);
  if (value < low || value > high) throw outOfRange(token, low, high);
  return value;
}

/**
 * A 64-bit operation sign-extends imm, so 0xffffffff means -1 only in a jump, which is printed as
 * hex.
 */
function immediateRange(insn: Insn, token: AsmToken): OperandRange {
  const kind = classOf(insn);
  if (insn.code === LD_IMM64) return U32;
  if (kind === BPF_JMP) return /^0x/.test(token.text) ? BITS32 : I32;
  const wide = kind === BPF_ALU64 || kind === BPF_LD || insn.code === (BPF_ST | BPF_MEM | BPF_DW);
  return wide ? I32 : BITS32;
}

/** The distance to the target is in imm, not in off. */
const hasTargetInImm = (insn: Insn): boolean =>
  insn.code === LD_IMM64 || insn.code === (BPF_JMP32 | BPF_JA) || isCall(insn);

/** Sets the distance to a target, counted from the next instruction. */
export function setBranchOffset(draft: InsnDraft, way: number, token: AsmToken): void {
  const far = hasTargetInImm(draft);
  const [low, high] = far ? I32 : I16;
  if (way < low || way > high) {
    throw new SyntaxFault(
      token.at,
      `distance to ${quote(token.text)} must be from ${low} to ${high} instructions, got ${way}`,
    );
  }
  draft[far ? "imm" : "off"] = way;
}

const HELPERS = new Map<string, number>();
for (let id = 0; isHelper(id); id++) {
  HELPERS.set(helperName(id), id).set(helperName(id).replace("bpf_", ""), id);
}

export const HELPER_NAMES: readonly string[] = [...HELPERS.keys()];

/** Returns the number of the helper NAME or NAME#N; undefined when no helper has the name. */
export function findHelper(token: AsmToken): number | undefined {
  const [name = "", number] = token.text.split("#");
  const known = HELPERS.get(name);
  if (number === undefined || known === Number(number)) return known;
  if (name === "unknown") return parseInRange({ ...token, text: number }, BITS32) | 0;
  if (known === undefined) return undefined;
  throw new SyntaxFault(token.at, `number of ${name} must be ${known}, got ${quote(number)}`);
}

function setRegister(
  draft: InsnDraft,
  field: "dst" | "src",
  token: AsmToken,
  first: boolean,
): void {
  const number = Number(token.text.slice(1));
  if (!first && draft[field] !== number) {
    throw new SyntaxFault(token.at, `expected the same register as before, found ${token.text}`);
  }
  draft[field] = number;
}

function setImmediate64(draft: InsnDraft, token: AsmToken): void {
  const bits = parseBigInt(token);
  if (bits === undefined || bits < LOW64 || bits > HIGH64) throw outOfRange(token, LOW64, HIGH64);
  draft.imm = Number(BigInt.asIntN(32, bits));
  draft.next = Number(BigInt.asIntN(32, bits >> 32n));
}

function setOperand(draft: InsnDraft, field: SyntaxField, token: AsmToken, first: boolean): void {
  switch (field) {
    case "dst":
    case "src":
      setRegister(draft, field, token, first);
      return;
    case "off":
      draft.off = parseInRange(token, I16);
      return;
    case "imm":
      draft.imm = parseInRange(token, immediateRange(draft, token)) | 0;
      return;
    case "next":
      draft.next = parseInRange(token, U32) | 0;
      return;
    case "wide":
      setImmediate64(draft, token);
      return;
    case "target":
    case "helper":
      if (token.kind === "literal") draft.name = token;
      else if (field === "target") setBranchOffset(draft, parseInRange(token, I32), token);
      else draft.imm = parseInRange(token, BITS32) | 0;
  }
}

/** @throws Fault */
export function fillOperands(
  { base, operands, byId }: Syntax,
  tokens: readonly AsmToken[],
): InsnDraft {
  const { code, dst, src, off, imm } = base;
  const draft: InsnDraft = { code, dst, src, off, imm, next: 0, name: undefined, byId };
  for (const [i, operand] of operands.entries()) {
    const token = tokens[i] as AsmToken;
    if (typeof operand !== "number")
      setOperand(draft, operand, token, operands.indexOf(operand) === i);
    else if (Number(token.text.replace(/^[rw]/, "")) !== operand) {
      throw new SyntaxFault(
        token.at,
        `expected ${token.kind === "number" ? "" : token.kind}${operand}, found ${token.text}`,
      );
    }
  }
  return draft;
}

/** A mov can hold the number. */
export function isMovImmediate(token: AsmToken): boolean {
  const value = parseNumber(token);
  return value >= I32[0] && value <= I32[1];
}
