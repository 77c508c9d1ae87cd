import type { RunDone, Seed } from "../runtime/job.ts";
import { type ContextFields, decodeContext } from "./context_fields.ts";

/** The result of a run, as the reply returns it and the record of an Idempotency-Key keeps it. */

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

function hex(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString("hex");
}

/** What trace_pipe would show: a line ends in one newline, whoever writes it. */
const trimNewline = (text: string): string => text.replace(/\n$/, "");

/** @param given the context: told as it was given, as bytes or by its fields. */
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
