// The door of the verifier: what bpf_check() of Linux 6.18 finds wrong with the shape of a program,
// the tag of a program, and its instructions as a dump shows them. Pure: no fd is looked up here.

import { createHash } from "node:crypto";
import { decode, INSN_SIZE, type Insn } from "../isa/insn.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, LD_IMM64 } from "../isa/opcodes.ts";
import { type Explored, Explorer } from "./explore/explore.ts";
import { checkCfg } from "./program/cfg.ts";
import { resolvePseudoLdImm64 } from "./program/resolve.ts";
import { checkMaxStackDepth } from "./program/stack_depth.ts";
import { checkStructure } from "./program/structure.ts";
import { VerifierEnv } from "./state/env.ts";
import { VerifierLog } from "./state/log.ts";
import {
  einval,
  LIMITS,
  type MapFacts,
  type MapRef,
  type Refusal,
  type Report,
  type Verdict,
  type VerifierOptions,
} from "./verdict.ts";

export type {
  Limits,
  MapFacts,
  MapRef,
  Refusal,
  RefusalErrno,
  Report,
  Verdict,
  VerifierOptions,
} from "./verdict.ts";

const TAG_BYTES = 8;
/** Bits of log_level: the path to a refusal, all paths, statistics. */
const PATH = 1 | 2;
const EVERYTHING = 2;
const STATS = 4;

export function check(insns: Buffer, options: VerifierOptions = {}): Verdict {
  const prog = decode(insns);
  const { refusal: before } = checkStructure(prog, options);
  if (before !== null) return { beforeMaps: before, refs: [], atMap: null };
  const { refusal: during, ...found } = resolvePseudoLdImm64(prog, options);
  return { beforeMaps: null, atMap: during, ...found };
}

type Maps = ReadonlyMap<number, MapFacts>;

interface VerificationAttempt extends Explored {
  readonly env: VerifierEnv;
}

/** do_check() */
function explore(env: VerifierEnv, patience: number): VerificationAttempt {
  return { env, ...new Explorer(env, patience).run() };
}

/** What Linux looks at once it is through. */
function afterwards(env: VerifierEnv, starts: readonly number[]): Refusal | null {
  const deep = checkMaxStackDepth(env.prog, starts, env.stackDepths, env.options.progType);
  if (deep !== null || !env.hasMissingKfuncCall) return deep;
  return einval("invalid kernel function call not eliminated in verifier pass");
}

function namedMaps(
  prog: readonly Insn[],
  maps: readonly MapFacts[],
  options: VerifierOptions,
): Maps {
  const { refs } = resolvePseudoLdImm64(prog, options);
  return new Map(refs.map((ref, i) => [ref.insn, maps[i] as MapFacts]));
}

/** print_verification_stats() */
function closing({ env, insnsProcessed: verified }: VerificationAttempt): string {
  const { limits, logLevel = 0 } = env.options;
  const depths = [...env.stackDepths.values()].join("+");
  const stats = (logLevel & STATS) !== 0 ? `stack depth ${depths || 0}\n` : "";
  const limit = limits?.complexity ?? LIMITS.complexity;
  const states = "max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0";
  return `${stats}processed ${verified} insns (limit ${limit}) ${states}\n`;
}

/** The same again, told as it goes. */
function retold({ env }: VerificationAttempt): string {
  const log = new VerifierLog(env.options.logLevel ?? 0);
  explore(new VerifierEnv(env.prog, env.maps, env.options, log), Number.POSITIVE_INFINITY);
  return log.toString();
}

function refusedReport(attempt: VerificationAttempt, found: Refusal): Report {
  const { env, insnsProcessed: verified, refusal } = attempt;
  const safe = new Uint8Array(env.prog.length);
  const place = refusal === null ? {} : { at: attempt.at };
  if (((env.options.logLevel ?? 0) & PATH) === 0)
    return { refusal: found, ...place, log: "", provenAccesses: safe, insnsProcessed: verified };
  const path = refusal === null ? "" : retold(attempt);
  const log = `${path}${found.log}\n${closing(attempt).trimEnd()}`;
  return {
    refusal: { errno: found.errno, log },
    ...place,
    log: "",
    provenAccesses: safe,
    insnsProcessed: verified,
  };
}

function acceptedReport(attempt: VerificationAttempt): Report {
  const { env, insnsProcessed: verified, isComplete: whole } = attempt;
  const level = env.options.logLevel ?? 0;
  const path = (level & EVERYTHING) !== 0 ? retold(attempt) : "";
  const log = level === 0 ? "" : `${path}${closing(attempt)}`;
  const safe = whole ? env.provenAccesses() : new Uint8Array(env.prog.length);
  return { refusal: null, log, provenAccesses: safe, insnsProcessed: verified };
}

/** verify(), or null where it would take longer than so many instructions gone through. */
export function attempt(
  insns: Buffer,
  maps: readonly MapFacts[],
  options: VerifierOptions,
  patience: number,
): Report | null {
  const prog = decode(insns);
  const shape = checkCfg(prog);
  if (shape !== null) {
    return {
      refusal: shape,
      log: "",
      provenAccesses: new Uint8Array(prog.length),
      insnsProcessed: 0,
    };
  }
  const env = new VerifierEnv(prog, namedMaps(prog, maps, options), options, null);
  const made = explore(env, patience);
  if (made.isOverBudget) return null;
  const { starts } = checkStructure(prog, options);
  const found = made.refusal ?? afterwards(env, starts);
  return found === null ? acceptedReport(made) : refusedReport(made, found);
}

/**
 * What follows once maps are known: maps[i] is the one that refs[i] of check() names. What takes too long
 * to follow to its end is accepted, with no access proven.
 */
export function verify(
  insns: Buffer,
  maps: readonly MapFacts[],
  options: VerifierOptions = {},
): Report {
  return attempt(insns, maps, options, Number.POSITIVE_INFINITY) as Report;
}

/** bpf_prog_calc_tag: map fds vary from load to load, so both halves lose their imm; IDX forms do not. */
export function tag(insns: Buffer): string {
  const stable = Buffer.from(insns);
  const prog = decode(insns);
  for (let at = 0; at < prog.length; at++) {
    const { code, src } = prog[at] as Insn;
    if (code !== LD_IMM64 || (src !== BPF_PSEUDO_MAP_FD && src !== BPF_PSEUDO_MAP_VALUE)) continue;
    stable.writeInt32LE(0, at * INSN_SIZE + 4);
    const next = prog[at + 1];
    if (next === undefined || next.code || next.dst || next.src || next.off) continue;
    stable.writeInt32LE(0, (at + 1) * INSN_SIZE + 4);
    at++;
  }
  return createHash("sha256")
    .update(stable)
    .digest("hex")
    .slice(0, TAG_BYTES * 2);
}

/** bpf_insn_prepare_dump: maps by id, whichever way the program named them. ids[i] is of refs[i]. */
export function relocate(insns: Buffer, ids: ArrayLike<number>, refs: readonly MapRef[]): Buffer {
  const out = Buffer.from(insns);
  for (const [i, ref] of refs.entries()) {
    const id = ids[i];
    if (id === undefined) throw new RangeError(`no id for the map at insn ${ref.insn}`);
    const at = ref.insn * INSN_SIZE;
    const src = ref.direct ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
    out.writeUInt8((src << 4) | (out.readUInt8(at + 1) & 0x0f), at + 1);
    out.writeUInt32LE(id, at + 4);
    out.writeUInt32LE(ref.offset, at + INSN_SIZE + 4);
  }
  return out;
}
