import type { FuncType } from "../../isa/func_type.ts";
import { BPF_FUNC } from "../../isa/helpers/index.ts";
import type { Insn } from "../../isa/insn.ts";
import { type Effect, liveRegisters, regEffect } from "../program/liveness.ts";
import { packetChangers } from "../program/packet_changes.ts";
import type { MapFacts, VerifierOptions } from "../verdict.ts";
import type { VerifierLog } from "./log.ts";
import { currentDepth, type Frame, type VerifierState } from "./state.ts";
import type { RegisterValue } from "./value.ts";

/** struct bpf_verifier_env: what all parts of the verifier share about one program. */

/** What is known about the memory accesses of an instruction. */
const NOT_ACCESSED = 0;
const PROVEN = 1;
const UNPROVEN = 2;

/** Helpers that call functions of the program. */
const CALLBACK_HELPERS = new Set<number>([
  BPF_FUNC.for_each_map_elem,
  BPF_FUNC.timer_set_callback,
  BPF_FUNC.find_vma,
  BPF_FUNC.loop,
  BPF_FUNC.user_ringbuf_drain,
]);

export class VerifierEnv {
  readonly prog: readonly Insn[];
  /** By the index of the ld_imm64 that names the map. */
  readonly maps: ReadonlyMap<number, MapFacts>;
  readonly options: VerifierOptions;
  readonly log: VerifierLog | null;
  /** For each instruction its effect, and the registers that are read from it on. */
  readonly effects: readonly Effect[];
  readonly live: Uint16Array;
  /** Bytes of stack, by the first instruction of a subprogram. */
  readonly stackDepths = new Map<number, number>();
  /** 1 for each instruction that a path reaches. */
  readonly seen: Uint8Array;
  readonly #access: Uint8Array;
  readonly #checkedInsns: Uint8Array;
  #isTrusted = true;
  readonly #contexts = new Map<number, boolean>();
  #ids = 0;
  /** First instructions of the global functions called; whether Linux certainly reaches a call. */
  readonly calledGlobals = new Map<number, boolean>();
  readonly #funcs: ReadonlyMap<number, FuncType>;
  readonly #starts: readonly number[];
  #packetChangers: ReadonlySet<number> | undefined;
  /** The program certainly calls a kernel function that does not exist (fixup_kfunc_call). */
  hasMissingKfuncCall = false;

  constructor(
    prog: readonly Insn[],
    maps: ReadonlyMap<number, MapFacts>,
    options: VerifierOptions,
    log: VerifierLog | null,
  ) {
    this.prog = prog;
    this.maps = maps;
    this.options = options;
    this.log = log;
    const funcs = options.funcTypes ?? [];
    this.#funcs = new Map(funcs.map((func) => [func.start, func]));
    this.#starts = [...this.#funcs.keys()].sort((a, b) => a - b);
    this.effects = prog.map(regEffect);
    this.live = liveRegisters(prog, this.effects);
    this.seen = new Uint8Array(prog.length);
    this.#access = new Uint8Array(prog.length);
    this.#checkedInsns = new Uint8Array(prog.length);
  }

  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** assign_scalar_id_before_mov(): copies of the number share its id. */
  assignScalarId(value: RegisterValue): RegisterValue {
    if (value.id !== 0 && !value.isLinked) return value;
    return { ...value, id: this.nextId(), isLinked: false, off: 0 };
  }

  /** The loader has CAP_PERFMON (allow_ptr_leaks, allow_uninit_stack). */
  get canLeakPointers(): boolean {
    return this.options.perfmon !== false;
  }

  /** The instruction by itself was checked before. */
  isInsnChecked(at: number): boolean {
    return this.#checkedInsns[at] === 1;
  }

  markInsnChecked(at: number): void {
    this.#checkedInsns[at] = 1;
  }

  recordAccess(at: number, isSafe: boolean): void {
    if (!isSafe) this.#access[at] = UNPROVEN;
    else if (this.#access[at] === NOT_ACCESSED) this.#access[at] = PROVEN;
  }

  /** The global function that starts at an instruction, if its type is known. */
  globalFunc(start: number): FuncType | undefined {
    const func = this.#funcs.get(start);
    return func?.isGlobal === true ? func : undefined;
  }

  /** The number of a function in messages. */
  funcIndex(start: number): number {
    return this.#starts.indexOf(start);
  }

  /** A call of the function may move the packet. */
  changesPacket(start: number): boolean {
    this.#packetChangers ??= packetChangers(this.prog, this.#starts);
    return this.#packetChangers.has(start);
  }

  recordGlobalCall(start: number, isCertain: boolean): void {
    this.calledGlobals.set(start, isCertain || this.calledGlobals.get(start) === true);
  }

  /** Memory that is not modelled was handed on as if it were, so that no proof holds. */
  distrust(): void {
    this.#isTrusted = false;
  }

  /** The helper may call back a function with unknown arguments, so that no proof holds. */
  distrustCallbacks(helper: number): void {
    if (CALLBACK_HELPERS.has(helper)) this.#isTrusted = false;
  }

  /** Whether an instruction accesses a context on one path and other memory on another. */
  isMixedAccess(at: number, isContext: boolean): boolean {
    const before = this.#contexts.get(at);
    if (before === undefined) this.#contexts.set(at, isContext);
    return before !== undefined && before !== isContext;
  }

  /** For each instruction 1 where all its accesses were proven. */
  provenAccesses(): Uint8Array {
    return this.#access.map((seen) => (seen === PROVEN && this.#isTrusted ? 1 : 0));
  }

  /** update_stack_depth(): the frame uses `bytes` of stack. */
  updateStackDepth(state: VerifierState, frame: Frame, bytes: number): void {
    if (!state.isCertain) return;
    const before = this.stackDepths.get(frame.start) ?? 0;
    if (bytes > before) this.stackDepths.set(frame.start, Math.ceil(bytes / 8) * 8);
  }

  isCurrentFrame(state: VerifierState, frame: Frame): boolean {
    return state.frames[currentDepth(state)] === frame;
  }
}
