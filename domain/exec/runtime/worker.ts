// A thread that runs jobs on a machine of its own, one at a time.

import { isMainThread, parentPort } from "node:worker_threads";
import type { Unit } from "../abi.ts";
import { TooLarge } from "../compiler/compile.ts";
import type { Job, Outcome } from "../job.ts";
import { Machine } from "./machine.ts";

/** What the pool sends: what is no longer needed, then a job or a program to compile. */
export interface Asked {
  forget: readonly string[];
  job?: Job;
  prepare?: { key: string; unit: Unit };
}

/** What it is told. A thread is ready when it first says something. */
export type Told =
  | { outcome: Outcome }
  | { ready: true }
  | { tooLarge: string }
  | { error: string };

function answer(machine: Machine, { forget, job, prepare }: Asked): Told {
  try {
    for (const key of forget) machine.forget(key);
    if (prepare !== undefined) machine.prepare(prepare.key, prepare.unit);
    return job === undefined ? { ready: true } : { outcome: machine.execute(job) };
  } catch (error) {
    if (error instanceof TooLarge) return { tooLarge: error.message };
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

if (!isMainThread && parentPort !== null) {
  const machine = new Machine();
  const port = parentPort;
  port.on("message", (asked: Asked) => port.postMessage(answer(machine, asked)));
  port.postMessage({ ready: true } satisfies Told);
}
