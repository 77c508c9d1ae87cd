import { disasm } from "../../../domain/isa/disasm.ts";
import { helperName } from "../../../domain/isa/helpers/index.ts";
import { calleeOf, decode, isHelperCall } from "../../../domain/isa/insn.ts";
import { BPF_PSEUDO_FUNC, LD_IMM64 } from "../../../domain/isa/opcodes.ts";
import { type FuzzCase, usedMaps } from "./case.ts";

/** Formats a case for people. */

export function listing(insns: Buffer): string[] {
  const prog = decode(insns);
  const lines: string[] = [];
  for (let at = 0; at < prog.length; at++) {
    const [insn, next] = [prog[at], prog[at + 1]];
    if (!insn) break;
    const [map, place] = [`map ${insn.imm}`, `value of map ${insn.imm} + ${next?.imm}`];
    const named = [undefined, map, place][insn.src];
    const text =
      insn.code !== LD_IMM64
        ? disasm(insn)
        : insn.src === BPF_PSEUDO_FUNC
          ? `(18) r${insn.dst} = function at ${calleeOf(insn, at)}`
          : disasm(insn, next, (first, second) => named ?? long(first.imm, second?.imm));
    lines.push(`${at}: ${text}`);
    if (insn.code === LD_IMM64) at++;
  }
  return lines;
}

const long = (low: number, high = 0): string =>
  `0x${((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16)}`;

/** Lists the names of the helpers that the programs call. */
export function helpersIn({ programs }: FuzzCase): string[] {
  const calls = programs.flatMap(({ insns }) => decode(insns).filter(isHelperCall));
  return [...new Set(calls.map(({ imm }) => helperName(imm)))].sort();
}

export function described(subject: FuzzCase): string {
  const { type, maps, programs, data, ctx, repeat } = subject;
  const used = usedMaps(subject);
  const lines = [`type ${type}, repeat ${repeat}`, `data ${data.toString("hex")}`];
  if (ctx) lines.push(`ctx ${ctx.toString("hex")}`);
  for (const [place, { elements, ...shape }] of maps.entries()) {
    if (!used.has(place)) continue;
    lines.push(`map ${place} ${JSON.stringify(shape)}`);
    lines.push(...elements.map(([key, value]) => `  ${key} ${value}`));
  }
  for (const [place, { insns, functions }] of programs.entries()) {
    lines.push(`program ${place}${functions.length ? `, BTF for ${functions.join(" ")}` : ""}`);
    lines.push(...listing(insns).map((line) => `  ${line}`));
  }
  return lines.join("\n");
}
