import { didYouMean } from "../did_you_mean.ts";
import { BPF_ALU64, BPF_K, BPF_MOV, LD_IMM64 } from "../isa/opcodes.ts";
import { GRAMMAR, type Syntax, type SyntaxNode } from "./grammar.ts";
import { type AsmToken, quote, readToken, SyntaxFault } from "./lexer.ts";
import { fillOperands, type InsnDraft, isMovImmediate } from "./operand.ts";

/** Parses one instruction: its tokens are a path in the grammar, which ends at its syntax. */

const MOV_IMM = BPF_ALU64 | BPF_MOV | BPF_K;
const OPERANDS: Readonly<Record<string, string>> = {
  " r": "a register r0 to r10",
  " w": "a register w0 to w10",
  " number": "a number",
  " place": "pc+N or a label",
  " helper": "a helper",
};

/**
 * Lists the edges that a token may take, the closest first. A 32-bit operation also accepts rN for
 * wN.
 */
function listEdges({ kind, text }: AsmToken): readonly string[] {
  switch (kind) {
    case "r":
      return [" r", " w"];
    case "w":
      return [" w"];
    case "place":
      return [" place"];
    case "number":
      return /^[+-]/.test(text) ? [" number", " place"] : [" number", " helper"];
    default:
      return [text, " helper", " place"];
  }
}

/** An error lists at most this many alternatives. */
const EXPECTED_MAX = 8;

function describeExpected(node: SyntaxNode): string {
  if (node === GRAMMAR) return "an instruction";
  const edges = [...node.next.keys()].map((edge) => OPERANDS[edge] ?? `"${edge}"`);
  const expected = edges.sort((one, other) => Number(/^"/.test(one)) - Number(/^"/.test(other)));
  if (node.syntaxes.length > 0) expected.push("the end of the line");
  if (expected.length > EXPECTED_MAX)
    expected.splice(EXPECTED_MAX, expected.length, "another word");
  return expected.join(", ").replace(/, ([^,]+)$/, " or $1");
}

function unexpected(node: SyntaxNode, { kind, text, at }: AsmToken): SyntaxFault {
  const words = [...node.next.keys()].filter((edge) => !edge.startsWith(" "));
  const meant = /^[RW](10|\d)$/.test(text) ? [text.toLowerCase()] : words;
  const found = kind === "end" ? "the end of the line" : quote(text) + didYouMean(text, meant);
  return new SyntaxFault(at, `expected ${describeExpected(node)}, found ${found}`);
}

/** A mov and a ld_imm64 look alike: the opcode decides, else it is a mov if the number fits. */
function chooseSyntax(
  { syntaxes }: SyntaxNode,
  opcode: number | undefined,
  operands: readonly AsmToken[],
): Syntax {
  const [one, another] = syntaxes as [Syntax, ...Syntax[]];
  if (another === undefined) return one;
  const likely = isMovImmediate(operands[1] as AsmToken) ? MOV_IMM : LD_IMM64;
  const expected = opcode === LD_IMM64 || opcode === MOV_IMM ? opcode : likely;
  return one.base.code === expected ? one : another;
}

/** Parses an instruction; null for a line without one. */
export function parseInsn(
  line: string,
  from: number,
  opcode: number | undefined,
): InsnDraft | null {
  const operands: AsmToken[] = [];
  let node = GRAMMAR;
  let token = readToken(line, from);
  if (token.kind === "end" && opcode === undefined) return null;
  for (; token.kind !== "end"; token = readToken(line, token.end)) {
    const edge = listEdges(token).find((name) => node.next.has(name));
    if (edge === undefined) throw unexpected(node, token);
    node = node.next.get(edge) as SyntaxNode;
    if (edge.startsWith(" ")) operands.push(token);
  }
  if (node.syntaxes.length === 0) throw unexpected(node, token);
  return fillOperands(chooseSyntax(node, opcode, operands), operands);
}
