import { constant, disasm } from "../isa/disasm.ts";
import {
  classOf,
  hasSrcReg,
  type Insn,
  isCall,
  isKnown,
  isPseudoFunc,
  modeOf,
  opOf,
  sizeIndex,
} from "../isa/insn.ts";
import {
  BPF_ADD,
  BPF_ALU,
  BPF_ALU64,
  BPF_AND,
  BPF_ATOMIC,
  BPF_CMPXCHG,
  BPF_DIV,
  BPF_END,
  BPF_FETCH,
  BPF_JCOND,
  BPF_JMP,
  BPF_LOAD_ACQ,
  BPF_MOD,
  BPF_MOV,
  BPF_OR,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  BPF_STORE_REL,
  BPF_STX,
  BPF_XCHG,
  BPF_XOR,
  LD_IMM64,
} from "../isa/opcodes.ts";
import { type AsmToken, parseNumber, readToken } from "./lexer.ts";

/**
 * The grammar is the disassembler read backwards: every instruction is printed once with marks for
 * operands, and the tokens of that text become a path in a tree. So whatever the disassembler
 * prints
 * can be assembled, and the notation is written down once.
 */

/**
 * The field that an operand sets; `target` is off or imm by the opcode, `wide` both imms of a
 * ld_imm64.
 */
export type SyntaxField = "dst" | "src" | "off" | "imm" | "next" | "wide" | "target" | "helper";

/** A field to set, or the number that the notation always has at this place. */
export type Operand = SyntaxField | number;

export interface Syntax {
  /** The fields that no operand sets. */
  readonly base: Insn;
  readonly operands: readonly Operand[];
  /** The instruction names its map by id, not by fd. */
  readonly byId: boolean;
}

export interface SyntaxNode {
  /** Keyed by the text of a literal, or by a blank and the kind of the operand. */
  readonly next: Map<string, SyntaxNode>;
  /** The instructions that end here: two only where a ld_imm64 looks like a mov. */
  readonly syntaxes: Syntax[];
}

/**
 * Returns a formatter of ld_imm64 constants that names maps by fd or by id (bpftool's print_imm).
 */
export function formatConstantBy(noun: "fd" | "id") {
  return (insn: Insn, next: Insn | undefined): string => {
    const [at, offset] = [insn.imm >>> 0, (next?.imm ?? 0) >>> 0];
    switch (insn.src) {
      case BPF_PSEUDO_MAP_FD:
        return `map[${noun}:${at}]`;
      case BPF_PSEUDO_MAP_VALUE:
        return `map[${noun}:${at}][0]+${offset}`;
      case BPF_PSEUDO_MAP_IDX:
        return `map[idx:${at}]`;
      case BPF_PSEUDO_MAP_IDX_VALUE:
        return `map[idx:${at}]+${offset}`;
      case BPF_PSEUDO_FUNC:
        return `subprog[${insn.imm < 0 ? "" : "+"}${insn.imm}]`;
      default:
        return constant(insn, next);
    }
  };
}

const MARKS = { dst: 1, src: 2, off: 291, imm: 70001 };
const NEXT = 90001;
const FIELDS = new Map<number, SyntaxField>([
  [MARKS.off, "off"],
  [MARKS.imm, "imm"],
  [NEXT, "next"],
  [NEXT * 2 ** 32 + MARKS.imm, "wide"],
]);
const LD_SOURCES = [
  0,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
];
const LOCK_OPS = [BPF_ADD, BPF_OR, BPF_AND, BPF_XOR];
const ATOMIC_OPS = [...LOCK_OPS, ...LOCK_OPS.map((op) => op | BPF_FETCH), BPF_XCHG, BPF_CMPXCHG];
const ORDERED_OPS = [BPF_LOAD_ACQ, BPF_STORE_REL];

type Fixed = Partial<Insn>;

function listAluVariants(insn: Insn): Fixed[] {
  const op = opOf(insn);
  if (op === BPF_DIV || op === BPF_MOD) return [{}, { off: 1 }];
  if (op === BPF_END) return [{ imm: 16 }, { imm: 32 }, { imm: 64 }];
  if (op !== BPF_MOV || !hasSrcReg(insn)) return [{}];
  const widths = classOf(insn) === BPF_ALU64 ? [8, 16, 32] : [8, 16];
  return [{}, ...widths.map((off) => ({ off }))];
}

/** Lists the fields that, beside the opcode, select a different instruction. */
function listVariants(insn: Insn): Fixed[] {
  if (insn.code === LD_IMM64) return LD_SOURCES.map((src) => ({ src }));
  if (isCall(insn)) return [{ src: 0 }, { src: BPF_PSEUDO_CALL }];
  if (insn.code === (BPF_JMP | BPF_JCOND)) return [{ src: 0 }];
  if (classOf(insn) === BPF_STX && modeOf(insn) === BPF_ATOMIC) {
    const words = sizeIndex(insn) === 0 || sizeIndex(insn) === 3;
    return [...(words ? ATOMIC_OPS : []), ...ORDERED_OPS].map((imm) => ({ imm }));
  }
  const isAlu = classOf(insn) === BPF_ALU || classOf(insn) === BPF_ALU64;
  return isAlu ? listAluVariants(insn) : [{}];
}

/** Returns the edge of a token of the notation, and the operand if it is one. */
function toEdge(token: AsmToken, base: Insn): [edge: string, operand?: Operand] {
  const { kind, text } = token;
  if (text.startsWith("unknown#")) return [" helper", "helper"];
  if (kind === "literal") return [text];
  const isPlace = kind === "place" || (kind === "number" && isPseudoFunc(base));
  if (isPlace) return [" place", "target"];
  const value = kind === "number" ? parseNumber(token) : Number(text.slice(1));
  if (kind === "number") return [" number", FIELDS.get(value) ?? value];
  return [` ${kind}`, value === MARKS.dst ? "dst" : value === MARKS.src ? "src" : value];
}

function addSyntax(root: SyntaxNode, text: string, base: Insn, byId = false): void {
  let node = root;
  const operands: Operand[] = [];
  for (let token = readToken(text, 0); token.kind !== "end"; token = readToken(text, token.end)) {
    const [edge, operand] = toEdge(token, base);
    if (operand !== undefined) operands.push(operand);
    const next = node.next.get(edge) ?? { next: new Map(), syntaxes: [] };
    node.next.set(edge, next);
    node = next;
  }
  node.syntaxes.push({ base, operands, byId });
}

function buildGrammar(): SyntaxNode {
  const root: SyntaxNode = { next: new Map(), syntaxes: [] };
  const none = { dst: 0, src: 0, off: 0, imm: 0 };
  const second = { code: 0, ...none, imm: NEXT };
  const [byFd, byId] = [formatConstantBy("fd"), formatConstantBy("id")];
  for (let code = 0; code < 256; code++) {
    if (!isKnown({ code, ...none })) continue;
    for (const fixed of listVariants({ code, ...none })) {
      const base = { code, ...none, ...fixed };
      const print = (show: typeof byFd) =>
        disasm({ code, ...MARKS, ...fixed }, second, show).replace(/^\(..\) /, "");
      const text = print(byFd);
      addSyntax(root, text, base);
      if (print(byId) !== text) addSyntax(root, print(byId), base, true);
      // LLVM marks a 64-bit constant with `ll`, which no mov has.
      if (code === LD_IMM64 && fixed.src === 0) addSyntax(root, `${text} ll`, base);
    }
  }
  return root;
}

export const GRAMMAR = buildGrammar();
