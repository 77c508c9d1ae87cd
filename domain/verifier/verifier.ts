// The door of the verifier: what bpf_check() of Linux 6.18 finds wrong with the shape of a program,
// the tag of a program, and its instructions as a dump shows them. Pure: no fd is looked up here.

import { createHash } from "node:crypto";
import { cfg } from "./cfg.ts";
import { disasm } from "./disasm.ts";
import { fault, missing } from "./fault.ts";
import type { Insn } from "./insn.ts";
import * as bpf from "./insn.ts";
import { resolve } from "./resolve.ts";
import { frames, structure } from "./structure.ts";
import type { MapRef, Options, Refusal, Verdict } from "./verdict.ts";
import { firstFault } from "./walk.ts";

export type { Errno, MapRef, Options, Refusal, Verdict } from "./verdict.ts";

const TAG_BYTES = 8;

type Check = (insn: Insn) => Refusal | null;

function every(prog: readonly Insn[], look: Check): Map<number, Refusal> {
  const found = new Map<number, Refusal>();
  for (let at = 0; at < prog.length; at++) {
    const insn = prog[at] as Insn;
    const refusal = look(insn);
    if (refusal !== null) found.set(at, refusal);
    if (insn.code === bpf.LD_IMM64) at++;
  }
  return found;
}

function doCheck(prog: readonly Insn[], options: Options): Refusal | null {
  const found = firstFault(
    prog,
    every(prog, (insn) => fault(insn, options)),
  );
  if (found === null) return null;
  const { at, refusal } = found;
  if ((options.logLevel ?? 0) < 1) return refusal;
  const line = `${at}: ${disasm(prog[at] as Insn, prog[at + 1])}`;
  return { errno: refusal.errno, log: `${line}\n${refusal.log}` };
}

function doMiscFixups(prog: readonly Insn[]): Refusal | null {
  return firstFault(prog, every(prog, missing))?.refusal ?? null;
}

export function check(insns: Buffer, options: Options = {}): Verdict {
  const prog = bpf.decode(insns);
  const { starts, refusal: before } = structure(prog, options);
  if (before !== null) return { before, refs: [], during: null, after: null };
  const { refs, refusal: during } = resolve(prog, options);
  if (during !== null) return { before: null, refs, during, after: null };
  const after = cfg(prog) ?? doCheck(prog, options) ?? frames(prog, starts) ?? doMiscFixups(prog);
  return { before: null, refs, during: null, after };
}

/** bpf_prog_calc_tag: map fds vary from load to load, so both halves lose their imm; IDX forms do not. */
export function tag(insns: Buffer): string {
  const stable = Buffer.from(insns);
  const prog = bpf.decode(insns);
  for (let at = 0; at < prog.length; at++) {
    const { code, src } = prog[at] as Insn;
    if (code !== bpf.LD_IMM64 || (src !== bpf.PSEUDO_MAP_FD && src !== bpf.PSEUDO_MAP_VALUE))
      continue;
    stable.writeInt32LE(0, at * bpf.SIZE + 4);
    const next = prog[at + 1];
    if (next === undefined || next.code || next.dst || next.src || next.off) continue;
    stable.writeInt32LE(0, (at + 1) * bpf.SIZE + 4);
    at++;
  }
  return createHash("sha256")
    .update(stable)
    .digest("hex")
    .slice(0, TAG_BYTES * 2);
}

/** bpf_insn_prepare_dump: maps by id, whichever way the program named them. ids[i] is of refs[i]. */
export function relocate(insns: Buffer, ids: readonly number[], refs: readonly MapRef[]): Buffer {
  const out = Buffer.from(insns);
  for (const [i, ref] of refs.entries()) {
    const id = ids[i];
    if (id === undefined) throw new RangeError(`no id for the map at insn ${ref.insn}`);
    const at = ref.insn * bpf.SIZE;
    const src = ref.direct ? bpf.PSEUDO_MAP_VALUE : bpf.PSEUDO_MAP_FD;
    out.writeUInt8((src << 4) | (out.readUInt8(at + 1) & 0x0f), at + 1);
    out.writeUInt32LE(id, at + 4);
    out.writeUInt32LE(ref.offset, at + bpf.SIZE + 4);
  }
  return out;
}
