// A thread that judges long programs, so that the service goes on answering meanwhile.
// Invariant: one program at a time, in the order in which they came.

import { isMainThread, parentPort, Worker } from "node:worker_threads";
import type { Options, Verdict } from "./verdict.ts";
import { check, tag } from "./verifier.ts";

export interface Judged {
  verdict: Verdict;
  tag: string;
}

interface Asked {
  insns: Uint8Array;
  options: Options;
}

/** Longer programs than this take the thread: below it a verdict costs a few milliseconds. */
const BYTES_AT_ONCE = 8 * 512;

function answer({ insns, options }: Asked): Judged {
  const program = Buffer.from(insns.buffer, insns.byteOffset, insns.byteLength);
  return { verdict: check(program, options), tag: tag(program) };
}

let thread: Worker | undefined;
let last: Promise<unknown> = Promise.resolve();

/** A thread of Node 20 does not take over tsx from the process that starts it. */
const BOOT = `import("tsx/esm/api").then((tsx) => {
  tsx.register();
  return import(${JSON.stringify(import.meta.url)});
});`;

/** The thread costs nothing until the first long program, and never keeps the process alive. */
function start(): Worker {
  const worker = new Worker(BOOT, { eval: true });
  worker.unref();
  return worker;
}

function ask(asked: Asked): Promise<Judged> {
  thread ??= start();
  const worker = thread;
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      thread = undefined;
      worker.off("message", done);
      reject(error);
    };
    const done = (judged: Judged) => {
      worker.off("error", fail);
      resolve(judged);
    };
    worker.once("message", done).once("error", fail);
    worker.postMessage(asked);
  });
}

/** What check() and tag() say of a program. */
export function judge(insns: Buffer, options: Options): Judged | Promise<Judged> {
  if (insns.length <= BYTES_AT_ONCE) return answer({ insns, options });
  const turn = last.then(() => ask({ insns, options }));
  last = turn.catch(() => undefined);
  return turn;
}

if (!isMainThread) {
  parentPort?.on("message", (asked: Asked) => parentPort?.postMessage(answer(asked)));
}
