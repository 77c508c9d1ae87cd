// Assembly to instructions: a line holds one, in the notation of the verifier's log and of bpftool.

import { setImmediate } from "node:timers/promises";
import { didYouMean } from "../did_you_mean.ts";
import { einval } from "../errno.ts";
import * as bpf from "../isa/insn.ts";
import type { Program } from "../verifier/precheck.ts";
import { type Form, GRAMMAR, type Node } from "./grammar.ts";
import { Fault, quote, type Token, tokenAt } from "./lexer.ts";
import { aim, type Draft, fill, HELPER_NAMES, helperOf, isShort } from "./operand.ts";

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
  draft: Draft;
  /** The instruction's number. */
  at: number;
  line: number;
}

interface State {
  drafts: Draft[];
  /** How many of 8 bytes there are. */
  count: number;
  labels: Map<string, number>;
  namings: Naming[];
  byId: Set<number>;
}

/** Which edges a token may take, the closest first. A 32-bit operation has the lower half of an rN. */
function edgesOf({ kind, text }: Token): readonly string[] {
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

function wantedAt(node: Node): string {
  if (node === GRAMMAR) return "an instruction";
  const edges = [...node.next.keys()].map((edge) => OPERANDS[edge] ?? `"${edge}"`);
  const wanted = edges.sort((one, other) => Number(/^"/.test(one)) - Number(/^"/.test(other)));
  if (node.forms.length > 0) wanted.push("the end of the line");
  if (wanted.length > WANTED_MAX) wanted.splice(WANTED_MAX, wanted.length, "another word");
  return wanted.join(", ").replace(/, ([^,]+)$/, " or $1");
}

function unexpected(node: Node, { kind, text, at }: Token): Fault {
  const words = [...node.next.keys()].filter((edge) => !edge.startsWith(" "));
  const meant = /^[RW](10|\d)$/.test(text) ? [text.toLowerCase()] : words;
  const found = kind === "end" ? "the end of the line" : quote(text) + didYouMean(text, meant);
  return new Fault(at, `expected ${wantedAt(node)}, found ${found}`);
}

/** A mov and a ld_imm64 look alike: the opcode tells, else it is the mov if that holds the number. */
function choose({ forms }: Node, opcode: number | undefined, operands: readonly Token[]): Form {
  const [one, another] = forms as [Form, ...Form[]];
  if (another === undefined) return one;
  const likely = isShort(operands[1] as Token) ? MOV_IMM : bpf.LD_IMM64;
  const wanted = opcode === bpf.LD_IMM64 || opcode === MOV_IMM ? opcode : likely;
  return one.base.code === wanted ? one : another;
}

/** Null for a line without an instruction. */
function parse(line: string, from: number, opcode: number | undefined): Draft | null {
  const operands: Token[] = [];
  let node = GRAMMAR;
  let token = tokenAt(line, from);
  if (token.kind === "end" && opcode === undefined) return null;
  for (; token.kind !== "end"; token = tokenAt(line, token.end)) {
    const edge = edgesOf(token).find((name) => node.next.has(name));
    if (edge === undefined) throw unexpected(node, token);
    node = node.next.get(edge) as Node;
    if (edge.startsWith(" ")) operands.push(token);
  }
  if (node.forms.length === 0) throw unexpected(node, token);
  return fill(choose(node, opcode, operands), operands);
}

/** Takes the labels. @returns where they end. */
function labels(line: string, state: State): number {
  let end = 0;
  LABEL.lastIndex = 0;
  for (let found = LABEL.exec(line); found !== null; found = LABEL.exec(line)) {
    const [, name = ""] = found;
    if (state.labels.has(name)) throw new Fault(end, `the label ${quote(name)} stands twice`);
    state.labels.set(name, state.count);
    end = LABEL.lastIndex;
  }
  return end;
}

function assembleLine(line: string, number: number, state: State): void {
  const start = labels(line, state);
  PREFIX.lastIndex = start;
  const [, at, digits] = PREFIX.exec(line) ?? [];
  if (at !== undefined && Number(at) !== state.count) {
    throw new Fault(start, `this is instruction ${state.count}, not ${quote(at)}`);
  }
  const opcode = digits === undefined ? undefined : Number.parseInt(digits, 16);
  const draft = parse(line, PREFIX.lastIndex, opcode);
  if (draft === null) return;
  if (opcode !== undefined && opcode !== draft.code) {
    throw new Fault(start, `this has opcode ${hex(draft.code)}, not ${hex(opcode)}`);
  }
  state.drafts.push(draft);
  if (draft.byId) state.byId.add(state.count);
  if (draft.name) state.namings.push({ draft, at: state.count, line: number });
  state.count += draft.code === bpf.LD_IMM64 ? 2 : 1;
}

/** A label wins over a helper of the same name. */
function resolve({ draft, at }: Naming, labels: ReadonlyMap<string, number>): void {
  const token = draft.name as Token;
  const label = labels.get(token.text);
  const isHelper = bpf.isHelperCall(draft);
  if (label !== undefined) {
    if (isHelper) draft.src = bpf.PSEUDO_CALL;
    aim(draft, label - at - 1, token);
    return;
  }
  const id = isHelper ? helperOf(token) : undefined;
  if (id === undefined) {
    const what = isHelper ? "no label and no helper" : "no label";
    const near = didYouMean(token.text, [...labels.keys(), ...(isHelper ? HELPER_NAMES : [])]);
    throw new Fault(token.at, `${quote(token.text)} is ${what}${near}`);
  }
  draft.imm = id;
}

function encode({ drafts, count }: State): Buffer {
  const out = Buffer.alloc(count * bpf.SIZE);
  const view = new DataView(out.buffer, out.byteOffset);
  let at = 0;
  for (const { code, dst, src, off, imm, next } of drafts) {
    view.setUint8(at, code);
    view.setUint8(at + 1, (src << 4) | dst);
    view.setInt16(at + 2, off, true);
    view.setInt32(at + 4, imm, true);
    at += bpf.SIZE;
    if (code !== bpf.LD_IMM64) continue;
    view.setInt32(at + 4, next, true);
    at += bpf.SIZE;
  }
  return out;
}

/** Lines after which others get a turn: about 5 ms. */
const SLICE = 1000;

/**
 * The instructions of a text, in time that grows with its length. `;`, `//` and `#` begin comments;
 * `NAME:` is a label, `N:` must be the instruction's number and `(xx)` its opcode, which is needed
 * only where a ld_imm64 is to hold what a mov could. Maps go by fd, by id, or by index into fd_array.
 * @param pointer of the text in the request.
 * @throws EINVAL with line and column, both from 1, and what was expected there.
 */
export async function assemble(text: string, pointer: string): Promise<Program> {
  const state: State = { drafts: [], count: 0, labels: new Map(), namings: [], byId: new Set() };
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
    if (!(error instanceof Fault)) throw error;
    throw einval(`line ${line}, column ${error.at + 1}: ${error.message}`, pointer);
  }
  return { insns: encode(state), byId: state.byId };
}
