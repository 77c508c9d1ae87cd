import { Errno, type ErrnoName, type ErrnoOptions } from "../errno.ts";
import type { RunDone, Seed } from "../runtime/job.ts";
import { type ContextFields, contextFields } from "./context_fields.ts";

/** What a run answers, and the record of an Idempotency-Key keeps. */

/** Bytes are hex, as the record of an Idempotency-Key keeps them. */
export interface RunResult {
  retval: number;
  data: string;
  ctx: string | ContextFields | undefined;
  /** ns per repetition. */
  duration: number;
  seed: Seed;
  trace: string[];
  /** Ids of the programs run, in order. */
  programs: number[];
}

/** An Errno as data. */
interface Failed {
  errno: ErrnoName;
  detail: string;
  more: ErrnoOptions;
}

export type KeptResult = RunResult | Failed;

function hex(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString("hex");
}

/** What trace_pipe would show: a line ends in one newline, whoever writes it. */
const line = (text: string): string => text.replace(/\n$/, "");

/** @param given the context: told as it was given, as bytes or by its fields. */
export function result(
  done: RunDone,
  given: Buffer | ContextFields | undefined,
  seed: Seed,
  type: string,
): RunResult {
  const { retval, duration, trace, chain } = done;
  const plain = given === undefined || Buffer.isBuffer(given);
  const ctx = done.ctx && (plain ? hex(done.ctx) : contextFields(type, done.ctx));
  return {
    retval,
    data: hex(done.data),
    ctx,
    duration,
    seed,
    trace: trace.map(line),
    programs: chain,
  };
}

export function failed({ code, message, pointer, extensions }: Errno): Failed {
  const more = { ...(pointer && { pointer }), ...(extensions && { extensions }) };
  return { errno: code, detail: message, more };
}

/** @throws the Errno that the answer is. */
export function fromKept(answer: KeptResult): RunResult {
  if ("errno" in answer) throw new Errno(answer.errno, answer.detail, answer.more);
  return answer;
}
