import { type Insn, isExit, isJump, jumpTarget, opOf } from "../../isa/insn.ts";
import { FUNC_INFO_BYTES, LINE_INFO_BYTES } from "../../isa/limits.ts";
import { BPF_CALL, BPF_JA, LD_IMM64 } from "../../isa/opcodes.ts";

/**
 * What is left of func_info and line_info when Linux has removed the instructions that no path reaches
 * (opt_hard_wire_dead_code_branches(), opt_remove_dead_code(), opt_remove_nops()). The program itself stays.
 */

export interface LiveInfos {
  readonly funcs: Buffer;
  readonly lines: Buffer;
}

/** A jump that is always taken, and its target; undefined for any other instruction. */
function fixedTarget(insn: Insn, at: number, seen: Uint8Array): number | undefined {
  if (!isJump(insn) || opOf(insn) === BPF_CALL || isExit(insn)) return undefined;
  const target = jumpTarget(insn, at);
  if (opOf(insn) === BPF_JA || seen[at + 1] !== 1) return target;
  return seen[target] === 1 ? undefined : at + 1;
}

/** For each instruction how many before it stay; the last entry is their number. */
function countBefore(alive: Uint8Array): Uint32Array {
  const before = new Uint32Array(alive.length + 1);
  for (let at = 0; at < alive.length; at++) before[at + 1] = (before[at] ?? 0) + (alive[at] ?? 0);
  return before;
}

/** The instructions that stay: those that a path reaches, but for jumps over nothing. */
function liveInsns(prog: readonly Insn[], seen: Uint8Array): Uint8Array {
  const reached = Uint8Array.from(seen);
  for (const [at, { code }] of prog.entries()) {
    if (code === LD_IMM64 && reached[at] === 1) reached[at + 1] = 1;
  }
  const before = countBefore(reached);
  const alive = Uint8Array.from(reached);
  for (const [at, insn] of prog.entries()) {
    const target = alive[at] === 1 ? fixedTarget(insn, at, reached) : undefined;
    if (target === undefined || target <= at) continue;
    if (before[target] === before[at + 1]) alive[at] = 0;
  }
  return alive;
}

/** For each instruction the next one that stays, or the number of all. */
function nextAlive(alive: Uint8Array): Uint32Array {
  const next = new Uint32Array(alive.length + 1);
  next[alive.length] = alive.length;
  for (let at = alive.length - 1; at >= 0; at--) {
    next[at] = alive[at] === 1 ? at : (next[at + 1] ?? 0);
  }
  return next;
}

function moved(record: Buffer, offset: number): Buffer {
  const copy = Buffer.from(record);
  copy.writeUInt32LE(offset, 0);
  return copy;
}

const recordsOf = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: bytes.length / size }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

/** bpf_adj_linfo_after_remove(): an instruction without a line takes the last one removed before it. */
function liveLines(lines: Buffer, alive: Uint8Array, before: Uint32Array): Buffer {
  const records = recordsOf(lines, LINE_INFO_BYTES);
  const next = nextAlive(alive);
  const kept = records.flatMap((record, i) => {
    const at = next[record.readUInt32LE(0)] ?? alive.length;
    const following = records[i + 1]?.readUInt32LE(0) ?? alive.length;
    return at < following ? [moved(record, before[at] ?? 0)] : [];
  });
  return Buffer.concat(kept);
}

/** adjust_subprog_starts_after_remove(): a function of which nothing stays is gone. */
function liveFuncs(funcs: Buffer, before: Uint32Array): Buffer {
  const records = recordsOf(funcs, FUNC_INFO_BYTES);
  const end = before.length - 1;
  const kept = records.flatMap((record, i) => {
    const [start, stop] = [record.readUInt32LE(0), records[i + 1]?.readUInt32LE(0) ?? end];
    return before[start] === before[stop] ? [] : [moved(record, before[start] ?? 0)];
  });
  return Buffer.concat(kept);
}

/** @param seen 1 for each instruction that a path reaches. */
export function removeDeadCode(
  prog: readonly Insn[],
  seen: Uint8Array,
  { funcs, lines }: LiveInfos,
): LiveInfos {
  const alive = liveInsns(prog, seen);
  const before = countBefore(alive);
  return { funcs: liveFuncs(funcs, before), lines: liveLines(lines, alive, before) };
}
