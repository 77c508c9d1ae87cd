// Assembly to instructions: a line holds one, in the notation of the verifier's log and of bpftool.

import { setImmediate } from "node:timers/promises";
import { didYouMean } from "../did_you_mean.ts";
import { einval, type FieldPath } from "../errno.ts";
import { INSN_SIZE, isHelperCall } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import { BPF_PSEUDO_CALL, LD_IMM64 } from "../isa/opcodes.ts";
import { GRAMMAR, type Syntax, type SyntaxNode } from "./grammar.ts";
import { type AsmToken, quote, readToken, SyntaxFault } from "./lexer.ts";
import {
  fillOperands,
  findHelper,
  HELPER_NAMES,
  type InsnDraft,
  isMovImmediate,
  setBranchOffset,
} from "./operand.ts";

/** Before an instruction: labels, its number, its opcode. */
const LABEL = /[ \t]*([A-Za-z_][\w.]*)[ \t]*:/y;
const PREFIX = /[ \t]*(?:(\d+)[ \t]*:)?[ \t]*(?:\(([\da-fA-F]{2})\))?/y;

const MOV_IMM = 0xb7;
const hex = (code: number): string => code.toString(16).padStart(2, "0");

const OPERANDS: Readonly<Record<string, string>> = {
  " r": "a register r0 to r10",
  " w": "a register w0 to w10",
  " number": "a number",
  " place": "pc+N or a label",
  " helper": "a helper",
};

/** What names something that may come later. */
interface Naming {
  draft: InsnDraft;
  /** The instruction's number. */
  at: number;
  line: number;
}

interface AssemblerState {
  drafts: InsnDraft[];
  /** How many of 8 bytes there are. */
  count: number;
  labels: Map<string, number>;
  namings: Naming[];
  byId: Set<number>;
}

/** Which edges a token may take, the closest first. A 32-bit operation has the lower half of an rN. */
function edgesOf({ kind, text }: AsmToken): readonly string[] {
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

/** As many are told of what may stand somewhere. */
const WANTED_MAX = 8;

function wantedAt(node: SyntaxNode): string {
  if (node === GRAMMAR) return "an instruction";
  const edges = [...node.next.keys()].map((edge) => OPERANDS[edge] ?? `"${edge}"`);
  const wanted = edges.sort((one, other) => Number(/^"/.test(one)) - Number(/^"/.test(other)));
  if (node.syntaxes.length > 0) wanted.push("the end of the line");
  if (wanted.length > WANTED_MAX) wanted.splice(WANTED_MAX, wanted.length, "another word");
  return wanted.join(", ").replace(/, ([^,]+)$/, " or $1");
}

function unexpected(node: SyntaxNode, { kind, text, at }: AsmToken): SyntaxFault {
  const words = [...node.next.keys()].filter((edge) => !edge.startsWith(" "));
  const meant = /^[RW](10|\d)$/.test(text) ? [text.toLowerCase()] : words;
  const found = kind === "end" ? "the end of the line" : quote(text) + didYouMean(text, meant);
  return new SyntaxFault(at, `expected ${wantedAt(node)}, found ${found}`);
}

/** A mov and a ld_imm64 look alike: the opcode tells, else it is the mov if that holds the number. */
function choose(
  { syntaxes }: SyntaxNode,
  opcode: number | undefined,
  operands: readonly AsmToken[],
): Syntax {
  const [one, another] = syntaxes as [Syntax, ...Syntax[]];
  if (another === undefined) return one;
  const likely = isMovImmediate(operands[1] as AsmToken) ? MOV_IMM : LD_IMM64;
  const wanted = opcode === LD_IMM64 || opcode === MOV_IMM ? opcode : likely;
  return one.base.code === wanted ? one : another;
}

/** Null for a line without an instruction. */
function parse(line: string, from: number, opcode: number | undefined): InsnDraft | null {
  const operands: AsmToken[] = [];
  let node = GRAMMAR;
  let token = readToken(line, from);
  if (token.kind === "end" && opcode === undefined) return null;
  for (; token.kind !== "end"; token = readToken(line, token.end)) {
    const edge = edgesOf(token).find((name) => node.next.has(name));
    if (edge === undefined) throw unexpected(node, token);
    node = node.next.get(edge) as SyntaxNode;
    if (edge.startsWith(" ")) operands.push(token);
  }
  if (node.syntaxes.length === 0) throw unexpected(node, token);
  return fillOperands(choose(node, opcode, operands), operands);
}

/** Takes the labels. @returns where they end. */
function labels(line: string, state: AssemblerState): number {
  let end = 0;
  LABEL.lastIndex = 0;
  for (let found = LABEL.exec(line); found !== null; found = LABEL.exec(line)) {
    const [, name = ""] = found;
    if (state.labels.has(name)) throw new SyntaxFault(end, `the label ${quote(name)} stands twice`);
    state.labels.set(name, state.count);
    end = LABEL.lastIndex;
  }
  return end;
}

function assembleLine(line: string, number: number, state: AssemblerState): void {
  const start = labels(line, state);
  PREFIX.lastIndex = start;
  const [, at, digits] = PREFIX.exec(line) ?? [];
  if (at !== undefined && Number(at) !== state.count) {
    throw new SyntaxFault(start, `this is instruction ${state.count}, not ${quote(at)}`);
  }
  const opcode = digits === undefined ? undefined : Number.parseInt(digits, 16);
  const draft = parse(line, PREFIX.lastIndex, opcode);
  if (draft === null) return;
  if (opcode !== undefined && opcode !== draft.code) {
    throw new SyntaxFault(start, `this has opcode ${hex(draft.code)}, not ${hex(opcode)}`);
  }
  state.drafts.push(draft);
  if (draft.byId) state.byId.add(state.count);
  if (draft.name) state.namings.push({ draft, at: state.count, line: number });
  state.count += draft.code === LD_IMM64 ? 2 : 1;
}

/** A label wins over a helper of the same name. */
function resolve({ draft, at }: Naming, labels: ReadonlyMap<string, number>): void {
  const token = draft.name as AsmToken;
  const label = labels.get(token.text);
  const isHelper = isHelperCall(draft);
  if (label !== undefined) {
    if (isHelper) draft.src = BPF_PSEUDO_CALL;
    setBranchOffset(draft, label - at - 1, token);
    return;
  }
  const id = isHelper ? findHelper(token) : undefined;
  if (id === undefined) {
    const what = isHelper ? "no label and no helper" : "no label";
    const near = didYouMean(token.text, [...labels.keys(), ...(isHelper ? HELPER_NAMES : [])]);
    throw new SyntaxFault(token.at, `${quote(token.text)} is ${what}${near}`);
  }
  draft.imm = id;
}

function encode({ drafts, count }: AssemblerState): Buffer {
  const out = Buffer.alloc(count * INSN_SIZE);
  const view = new DataView(out.buffer, out.byteOffset);
  let at = 0;
  for (const { code, dst, src, off, imm, next } of drafts) {
    view.setUint8(at, code);
    view.setUint8(at + 1, (src << 4) | dst);
    view.setInt16(at + 2, off, true);
    view.setInt32(at + 4, imm, true);
    at += INSN_SIZE;
    if (code !== LD_IMM64) continue;
    view.setInt32(at + 4, next, true);
    at += INSN_SIZE;
  }
  return out;
}

/** Lines after which others get a turn: about 5 ms. */
const SLICE = 1000;

/**
 * The instructions of a text, in time that grows with its length. `;`, `//` and `#` begin comments;
 * `NAME:` is a label, `N:` must be the instruction's number and `(xx)` its opcode, which is needed
 * only where a ld_imm64 is to hold what a mov could. Maps go by fd, by id, or by index into fd_array.
 * @param field the argument that the text is.
 * @throws EINVAL with line and column, both from 1, and what was expected there.
 */
export async function assemble(text: string, field: FieldPath): Promise<LoadedInsns> {
  const state: AssemblerState = {
    drafts: [],
    count: 0,
    labels: new Map(),
    namings: [],
    byId: new Set(),
  };
  let line = 0;
  try {
    for (let start = 0; start <= text.length; ) {
      const end = text.indexOf("\n", start);
      line += 1;
      assembleLine(text.slice(start, end < 0 ? undefined : end), line, state);
      start = end < 0 ? text.length + 1 : end + 1;
      if (line % SLICE === 0) await setImmediate();
    }
    for (const naming of state.namings) {
      line = naming.line;
      resolve(naming, state.labels);
    }
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw einval(`line ${line}, column ${error.at + 1}: ${error.message}`, field);
  }
  return { insns: encode(state), byId: state.byId };
}
