import { setImmediate } from "node:timers/promises";
import { didYouMean } from "../did_you_mean.ts";
import { einval, type FieldPath } from "../errno.ts";
import { INSN_SIZE, isHelperCall } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import { BPF_PSEUDO_CALL, LD_IMM64 } from "../isa/opcodes.ts";
import { type AsmToken, quote, SyntaxFault } from "./lexer.ts";
import { findHelper, HELPER_NAMES, type InsnDraft, setBranchOffset } from "./operand.ts";
import { parseInsn } from "./parser.ts";

/**
 * Assembles text into instructions, one a line, in the notation of the verifier's log and of
 * bpftool.
 */

/** Labels, an instruction number and an opcode may precede an instruction. */
const LABEL = /[ \t]*([A-Za-z_][\w.]*)[ \t]*:/y;
const PREFIX = /[ \t]*(?:(\d+)[ \t]*:)?[ \t]*(?:\(([\da-fA-F]{2})\))?/y;

const hex = (code: number): string => code.toString(16).padStart(2, "0");

/** A name that is resolved at the end, because a label may be defined after its use. */
interface UnresolvedName {
  draft: InsnDraft;
  /** The instruction's number. */
  at: number;
  line: number;
}

interface AssemblerState {
  drafts: InsnDraft[];
  /** Number of 8-byte instructions so far. */
  count: number;
  labels: Map<string, number>;
  unresolved: UnresolvedName[];
  byId: Set<number>;
}

/** Records the labels of a line and returns where they end. */
function takeLabels(line: string, state: AssemblerState): number {
  let end = 0;
  LABEL.lastIndex = 0;
  for (let found = LABEL.exec(line); found !== null; found = LABEL.exec(line)) {
    const [, name = ""] = found;
    if (state.labels.has(name)) throw new SyntaxFault(end, `duplicate label ${quote(name)}`);
    state.labels.set(name, state.count);
    end = LABEL.lastIndex;
  }
  return end;
}

function assembleLine(line: string, number: number, state: AssemblerState): void {
  const start = takeLabels(line, state);
  PREFIX.lastIndex = start;
  const [, at, digits] = PREFIX.exec(line) ?? [];
  if (at !== undefined && Number(at) !== state.count) {
    throw new SyntaxFault(start, `instruction number must be ${state.count}, got ${quote(at)}`);
  }
  const opcode = digits === undefined ? undefined : Number.parseInt(digits, 16);
  const draft = parseInsn(line, PREFIX.lastIndex, opcode);
  if (draft === null) return;
  if (opcode !== undefined && opcode !== draft.code) {
    throw new SyntaxFault(start, `opcode must be ${hex(draft.code)}, got ${hex(opcode)}`);
  }
  state.drafts.push(draft);
  if (draft.byId) state.byId.add(state.count);
  if (draft.name) state.unresolved.push({ draft, at: state.count, line: number });
  state.count += draft.code === LD_IMM64 ? 2 : 1;
}

/** Resolves a name. A label wins over a helper of the same name. */
function resolveName({ draft, at }: UnresolvedName, labels: ReadonlyMap<string, number>): void {
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
    const what = isHelper ? "label or helper" : "label";
    const near = didYouMean(token.text, [...labels.keys(), ...(isHelper ? HELPER_NAMES : [])]);
    throw new SyntaxFault(token.at, `unknown ${what} ${quote(token.text)}${near}`);
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

/** After this many lines, about 5 ms, the assembler yields to the event loop. */
const SLICE = 1000;

/**
 * Assembles a text in time linear in its length. `;`, `//` and `#` begin comments;
 * `NAME:` is a label, `N:` must be the instruction's number and `(xx)` its opcode, which is needed
 * only where a ld_imm64 is to hold what a mov could. Maps go by fd, by id, or by index into fd_array.
 * @param field the argument that holds the text, for the error.
 * @throws EINVAL with line and column, both from 1, and what was expected there.
 */
export async function assemble(text: string, field: FieldPath): Promise<LoadedInsns> {
  const state: AssemblerState = {
    drafts: [],
    count: 0,
    labels: new Map(),
    unresolved: [],
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
    for (const name of state.unresolved) {
      line = name.line;
      resolveName(name, state.labels);
    }
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw einval(`line ${line}, column ${error.at + 1}: ${error.message}`, field);
  }
  return { insns: encode(state), byId: state.byId };
}
