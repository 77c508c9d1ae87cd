import { createHash } from "node:crypto";
import { INSN_SIZE, type Insn } from "../isa/insn.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, LD_IMM64 } from "../isa/opcodes.ts";
import { type Explored, Explorer } from "./explore/explore.ts";
import { checkBtfInfo } from "./program/btf_info.ts";
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

/** bpf_check() of Linux 6.18, without any lookup of fds: pure functions of a decoded program. */

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
const LOG_PATH = 1 | 2;
const LOG_ALL_PATHS = 2;
const LOG_STATS = 4;

/** The checks that need no map: the structure, then opcodes and map references in program order. */
export function check(prog: readonly Insn[], options: VerifierOptions = {}): Verdict {
  const { starts, refusal } = checkStructure(prog, options);
  const beforeMaps = refusal ?? checkBtfInfo(prog, starts, options.btf);
  if (beforeMaps !== null) return { beforeMaps, refs: [], atMap: null };
  const { refusal: atMap, ...resolved } = resolvePseudoLdImm64(prog, options);
  return { beforeMaps: null, atMap, ...resolved };
}

interface VerificationAttempt extends Explored {
  readonly env: VerifierEnv;
}

function explore(env: VerifierEnv, maxProcessed: number): VerificationAttempt {
  return { env, ...new Explorer(env, maxProcessed).run() };
}

/** The checks that Linux makes once all paths are followed. */
function checkAfterPaths(env: VerifierEnv): Refusal | null {
  const { starts } = checkStructure(env.prog, env.options);
  const tooDeep = checkMaxStackDepth(env.prog, starts, env.stackDepths, env.options.progType);
  if (tooDeep !== null || !env.hasMissingKfuncCall) return tooDeep;
  return einval("invalid kernel function call not eliminated in verifier pass");
}

function mapsByInsn(
  prog: readonly Insn[],
  maps: readonly MapFacts[],
  options: VerifierOptions,
): ReadonlyMap<number, MapFacts> {
  const { refs } = resolvePseudoLdImm64(prog, options);
  return new Map(refs.map((ref, i) => [ref.insn, maps[i] as MapFacts]));
}

/** print_verification_stats() */
function verificationStats({ env, insnsProcessed }: VerificationAttempt): string {
  const { limits, logLevel = 0 } = env.options;
  const depths = [...env.stackDepths.values()].join("+");
  const stats = (logLevel & LOG_STATS) !== 0 ? `stack depth ${depths || 0}\n` : "";
  const limit = limits?.complexity ?? LIMITS.complexity;
  const states = "max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0";
  return `${stats}processed ${insnsProcessed} insns (limit ${limit}) ${states}\n`;
}

/** Follows the paths once more with a log; the first time is without one, which is faster. */
function pathLog({ env }: VerificationAttempt): string {
  const log = new VerifierLog(env.options.logLevel ?? 0);
  explore(new VerifierEnv(env.prog, env.maps, env.options, log), Number.POSITIVE_INFINITY);
  return log.toString();
}

function refusedReport(attempt: VerificationAttempt, found: Refusal): Report {
  const { env, insnsProcessed, refusal } = attempt;
  const provenAccesses = new Uint8Array(env.prog.length);
  const place = refusal === null ? {} : { at: attempt.at };
  if (((env.options.logLevel ?? 0) & LOG_PATH) === 0)
    return { refusal: found, ...place, log: "", provenAccesses, insnsProcessed };
  const path = refusal === null ? "" : pathLog(attempt);
  const log = `${path}${found.log}\n${verificationStats(attempt).trimEnd()}`;
  const { errno } = found;
  return { refusal: { errno, log }, ...place, log: "", provenAccesses, insnsProcessed };
}

function acceptedReport(attempt: VerificationAttempt): Report {
  const { env, insnsProcessed, isComplete } = attempt;
  const level = env.options.logLevel ?? 0;
  const path = (level & LOG_ALL_PATHS) !== 0 ? pathLog(attempt) : "";
  const log = level === 0 ? "" : `${path}${verificationStats(attempt)}`;
  const provenAccesses = isComplete ? env.provenAccesses() : new Uint8Array(env.prog.length);
  const seen = isComplete && env.options.reportsSeen ? { seen: env.seen } : {};
  return { refusal: null, log, provenAccesses, insnsProcessed, ...seen };
}

/** verify(), or null when more than `maxProcessed` instructions are processed. */
export function verifyWithin(
  prog: readonly Insn[],
  maps: readonly MapFacts[],
  options: VerifierOptions,
  maxProcessed: number,
): Report | null {
  const refusal = checkCfg(prog);
  if (refusal !== null) {
    return { refusal, log: "", provenAccesses: new Uint8Array(prog.length), insnsProcessed: 0 };
  }
  const env = new VerifierEnv(prog, mapsByInsn(prog, maps, options), options, null);
  const attempt = explore(env, maxProcessed);
  if (attempt.isOverBudget) return null;
  const found = attempt.refusal ?? checkAfterPaths(env);
  return found === null ? acceptedReport(attempt) : refusedReport(attempt, found);
}

/**
 * The checks that need the maps: maps[i] is the map of refs[i] of check(). A program that is too complex
 * to follow to its end is accepted, with no access proven.
 */
export function verify(
  prog: readonly Insn[],
  maps: readonly MapFacts[],
  options: VerifierOptions = {},
): Report {
  return verifyWithin(prog, maps, options, Number.POSITIVE_INFINITY) as Report;
}

/**
 * bpf_prog_calc_tag(): both halves of a map's fd count as 0, because fds differ from load to load; the
 * forms with an index keep it.
 */
export function tag(insns: Buffer, prog: readonly Insn[]): string {
  const stable = Buffer.from(insns);
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

/** bpf_insn_prepare_dump(): every form of a map reference becomes one by id; ids[i] is that of refs[i]. */
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
