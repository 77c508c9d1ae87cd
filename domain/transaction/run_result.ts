import { toBuffer } from "../bytes.ts";
import type { RunDone, Seed } from "../runtime/job.ts";
import { type ContextFields, decodeContext } from "./context_fields.ts";

/** The result of a run, as the reply returns it and the record of an Idempotency-Key keeps it. */

/** Bytes are hex. */
export interface RunResult {
  retval: number;
  data: string;
  ctx: string | ContextFields | undefined;
  /** ns per repetition. */
  duration: number;
  seed: Seed;
  trace: string[];
  /** Ids of the programs that ran, in order. */
  programs: number[];
}

const hex = (data: Uint8Array): string => toBuffer(data).toString("hex");

/** A line ends in one newline in trace_pipe, whether the program writes it or not. */
const trimNewline = (text: string): string => text.replace(/\n$/, "");

/** @param input the context of the caller, as bytes or fields; the result has the same form. */
export function encodeResult(
  done: RunDone,
  input: Buffer | ContextFields | undefined,
  seed: Seed,
  type: string,
): RunResult {
  const { retval, duration, trace, chain } = done;
  const isRaw = input === undefined || Buffer.isBuffer(input);
  const ctx = done.ctx && (isRaw ? hex(done.ctx) : decodeContext(type, done.ctx));
  return {
    retval,
    data: hex(done.data),
    ctx,
    duration,
    seed,
    trace: trace.map(trimNewline),
    programs: chain,
  };
}
