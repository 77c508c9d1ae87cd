// A thread that runs jobs on a machine of its own, one at a time.

import { isMainThread, parentPort } from "node:worker_threads";
import type { CompilationUnit } from "../../compiler/abi.ts";
import { TooLarge } from "../../compiler/compile.ts";
import { Machine } from "../machine.ts";
import { type PackedJob, type PackedOutcome, packOutcome, unpackJob } from "./wire_format.ts";

/** What the pool sends: a job, or what is no longer needed and what is to be compiled. */
export type WorkerRequest =
  | { job: PackedJob }
  | { forget: readonly string[]; prepare: readonly CodeUnit[] };

export interface CodeUnit {
  key: string;
  unit: CompilationUnit;
}

/** What it is told. A thread is ready when it first says something. */
export type WorkerReply =
  | { outcome: PackedOutcome }
  | { ready: true }
  | { tooLarge: string }
  | { error: string };

function answer(machine: Machine, asked: WorkerRequest): WorkerReply {
  try {
    if ("job" in asked) return { outcome: packOutcome(machine.execute(unpackJob(asked.job))) };
    for (const key of asked.forget) machine.unload(key);
    for (const { key, unit } of asked.prepare) machine.prepare(key, unit);
    return { ready: true };
  } catch (error) {
    if (error instanceof TooLarge) return { tooLarge: error.message };
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

if (!isMainThread && parentPort !== null) {
  const machine = new Machine();
  const port = parentPort;
  port.on("message", (asked: WorkerRequest) => port.postMessage(answer(machine, asked)));
  port.postMessage({ ready: true } satisfies WorkerReply);
}
