import { randomBytes } from "node:crypto";
import { toBuffer } from "../bytes.ts";
import type { CompilationUnit } from "../compiler/abi.ts";
import { Errno, Stale } from "../errno.ts";
import type { FuncType } from "../isa/func_type.ts";
import { INSN_SIZE } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { Call, RunCommand, RunFirstHalf } from "../redis/command.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { list, number, text } from "../redis/reply.ts";
import type { Precheck } from "../verifier/precheck.ts";
import type { Limits, MapFacts, Refusal, VerifierOptions } from "../verifier/verifier.ts";
import {
  type DecodedInsns,
  decodeUnlessLong,
  isLong,
  runDoCheck,
  runPrecheck,
} from "../verifier/worker.ts";
import { mapFacts } from "./map_facts.ts";
import {
  type BtfInfoAttr,
  checkEarly,
  type FoundBtf,
  globalStarts,
  type LiveInfos,
  liveInfos,
  NO_INFOS,
  readProgBtf,
  recordsOf,
  withRecordSize,
} from "./prog_btf.ts";
import { isStagedInsns, stageInsns } from "./prog_stage.ts";
import { withDetail } from "./refusal_detail.ts";

/**
 * BPF_PROG_LOAD: checkStructure, resolveMaps, doCheck, publish. A refusal of any step goes to the
 * last script, which finds the first error in the kernel's order.
 */

export interface ProgAttr {
  prog_type: string;
  license: string;
  prog_name: string;
  prog_flags: number;
  expected_attach_type: number;
  log_level: number;
  fd_array: number[] | undefined;
  /** BTF describes the functions, which allows callbacks and tail calls of subprograms. */
  func_info?: boolean;
  /** The types of its functions, which the verifier checks calls and global functions by. */
  func_types?: readonly FuncType[] | undefined;
  /** The BTF object that describes functions and lines, with their records. */
  btf?: BtfInfoAttr | undefined;
}

/** The service's side of a load. */
export interface ProgLoader {
  run: RunCommand;
  begin: RunFirstHalf;
  limits: Partial<Limits>;
  /** Called with each accepted program. */
  onLoad(unit: CompilationUnit): void;
}

/** The most maps that one atomic step looks up; Linux has no such limit. */
const MAPS_MAX = 1000;
/** How often a load is repeated because its fds have become other maps meanwhile. */
const TRIES = 8;

interface LoadRequest {
  call: Call;
  /** JSON, as the scripts take it. */
  attr: string;
  insns: DecodedInsns;
  insn_cnt: number;
  fdArray: readonly number[];
  func_info: boolean;
  infos: BtfInfoAttr | undefined;
  options: VerifierOptions;
  /** Name of the draft that a long program's instructions are sent ahead to. */
  draft: string;
}

/** The first answer, which Redis has kept, when the request is a repeat. */
interface Replay {
  replayed: RedisValue[];
}

const json = (value: object): string => JSON.stringify(value, (_, part) => part ?? undefined);

function loadRequest(
  call: Call,
  { fd_array, func_types, btf, ...attr }: ProgAttr,
  loaded: LoadedInsns,
  limits: Partial<Limits>,
): LoadRequest {
  const { prog_type, log_level, prog_flags } = attr;
  const infos = btf && recordsOf(btf);
  const func_info = attr.func_info === true || (infos?.funcs.count ?? 0) > 0;
  const insns = decodeUnlessLong(loaded);
  const options = {
    ...{ progType: prog_type, logLevel: log_level, progFlags: prog_flags, limits },
    ...{ funcInfo: func_info, ...(func_types ? { funcTypes: func_types } : {}) },
    ...(fd_array ? { fdArrayLength: fd_array.length } : {}),
  };
  const insn_cnt = loaded.insns.length / INSN_SIZE;
  const draft = randomBytes(12).toString("hex");
  const rest = { insn_cnt, fdArray: fd_array ?? [], func_info, infos, options, draft };
  const whole = { ...attr, func_info: func_info || undefined, prog_btf_fd: infos?.fd };
  return { call, attr: json(whole), insns, ...rest };
}

/** Checks the caller's rights before a long program takes the verifier's time. */
async function admit({ begin }: ProgLoader, request: LoadRequest): Promise<Replay | undefined> {
  if (!isLong(request.insns)) return undefined;
  const { call, attr, insn_cnt } = request;
  const { remembered, values } = await begin(call, "prog_admit", attr, insn_cnt);
  return remembered ? { replayed: values } : undefined;
}

interface CheckedStructure {
  verdict: Pick<Precheck, "beforeMaps" | "refs" | "atMap" | "tag"> & {
    early: Refusal | null;
    btf_id: string | undefined;
  };
  /** For each map reference of the program the index in `verdict.refs`. */
  places: Uint32Array;
  /** The instructions with these indexes instead of fds. */
  indexed: Buffer;
}

/** @throws ENOMEM, EAGAIN */
async function checkStructure(
  request: LoadRequest,
  found: FoundBtf | undefined,
): Promise<CheckedStructure> {
  const { call, insns, fdArray } = request;
  const early = withDetail(checkEarly(found), insns);
  const options = { ...request.options, ...(early === null ? { btf: found?.btf } : {}) };
  const { places, indexed, at, ...verdict } = await runPrecheck(call, insns, options, fdArray);
  if (verdict.refs.length > MAPS_MAX) {
    throw new Errno("ENOMEM", `more than ${MAPS_MAX} maps in insns`);
  }
  const beforeMaps = withDetail(verdict.beforeMaps, insns);
  const atMap = withDetail(verdict.atMap, insns, at);
  const btf = { early, btf_id: found?.id };
  return { verdict: { ...verdict, ...btf, beforeMaps, atMap }, places, indexed: toBuffer(indexed) };
}

interface ResolvedMaps {
  maps: MapFacts[];
  /** The options that only the script knows: the program's type and the caller's rights. */
  options: VerifierOptions & { progType: string };
}

/** Looks the maps up, in a first script. */
async function resolveMaps(
  { begin }: ProgLoader,
  { call, attr, insn_cnt }: LoadRequest,
  { verdict }: CheckedStructure,
): Promise<ResolvedMaps | Replay> {
  const { values, remembered } = await begin(call, "prog_resolve", attr, insn_cnt, json(verdict));
  if (remembered) return { replayed: values };
  const [type, attach, gpl, rows, perfmon] = values;
  const known = { progType: text(type), expectedAttachType: number(attach) };
  const rights = { gplCompatible: number(gpl) === 1, perfmon: number(perfmon) === 1 };
  return { maps: list(rows).map(mapFacts), options: { ...known, ...rights } };
}

interface CheckedProgram {
  byDoCheck: Refusal | null;
  log: string;
  ids: number[];
  /** The program as it is compiled, unless it is refused. */
  unit?: CompilationUnit;
  /** func_info and line_info, as the program keeps them. */
  infos?: LiveInfos;
}

/**
 * The key of a program's code does not tell what the maps inside its maps are like, so that a proof that
 * may rest on that is not handed on.
 */
const isPortable = (maps: readonly MapFacts[]): boolean =>
  !maps.some(({ map_type }) => map_type.endsWith("_of_maps"));

async function doCheck(
  { call, insns, options, func_info }: LoadRequest,
  { places, indexed }: CheckedStructure,
  { maps, options: known }: ResolvedMaps,
  found: FoundBtf | undefined,
): Promise<CheckedProgram> {
  const functions = found?.btf ? { globalFuncs: globalStarts(found.btf), reportsSeen: true } : {};
  const request = { maps, places, options: { ...options, ...known, ...functions } };
  const report = await runDoCheck(call, insns, request);
  const { refusal, provenAccesses, log, at, seen } = report;
  const ids = maps.map(({ id = 0 }) => id);
  const byDoCheck = withDetail(refusal, insns, at);
  if (byDoCheck) return { byDoCheck, log, ids };
  const unit = {
    ...{ insns: indexed, maps, prog_type: known.progType },
    ...(func_info ? { func_info } : {}),
    ...(isPortable(maps) ? { provenAccesses } : {}),
  };
  const infos = found?.btf ? liveInfos(insns, seen, found.btf) : NO_INFOS;
  return { byDoCheck, log, ids, unit, infos };
}

/** Loads the program, in a second script. @throws Stale when its fds are no longer the same maps */
async function publish(
  { run, onLoad }: ProgLoader,
  { call, attr, insn_cnt, draft }: LoadRequest,
  { verdict, indexed }: CheckedStructure,
  { unit, infos: { funcs, lines } = NO_INFOS, ...checked }: Partial<CheckedProgram>,
): Promise<RedisValue[]> {
  const isStaged = unit !== undefined && isStagedInsns(indexed);
  if (isStaged) await stageInsns(run, call, draft, indexed);
  // A refused program needs no instructions.
  const insns = unit === undefined || isStaged ? "" : indexed;
  const whole = json({ ...{ ids: [], log: "" }, ...verdict, ...checked });
  const sent = [insns, whole, insn_cnt, isStaged ? draft : "", funcs, lines];
  const values = await run(call, "prog_load", attr, ...sent);
  if (unit) onLoad(unit);
  return values;
}

async function tryLoad(loader: ProgLoader, request: LoadRequest): Promise<RedisValue[]> {
  const repeated = await admit(loader, request);
  if (repeated) return repeated.replayed;
  const found = request.infos && (await readProgBtf(loader.run, request.call, request.infos));
  const structure = await checkStructure(request, found);
  const { early, beforeMaps, atMap } = structure.verdict;
  if (early || beforeMaps || atMap) return publish(loader, request, structure, {});
  const resolved = await resolveMaps(loader, request, structure);
  if ("replayed" in resolved) return resolved.replayed;
  const checked = await doCheck(request, structure, resolved, found);
  return publish(loader, request, structure, checked);
}

/** @returns the fd and id, and the log that Linux would write at the log level asked for. */
export async function loadProgram(
  loader: ProgLoader,
  call: Call,
  attr: ProgAttr,
  loaded: LoadedInsns,
): Promise<{ fd: number; id: number; log: string }> {
  const request = loadRequest(call, attr, loaded, loader.limits);
  for (let tries = 1; ; tries++) {
    try {
      const [fd, id, log] = await tryLoad(loader, request);
      return { fd: number(fd), id: number(id), log: text(log) };
    } catch (error) {
      if (!(error instanceof Stale)) throw withRecordSize(error);
      if (tries === TRIES) throw new Errno("EAGAIN", "its fds become other maps all the time");
    }
  }
}
