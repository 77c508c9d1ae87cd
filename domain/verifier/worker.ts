// A thread that judges long programs, so that the service goes on answering meanwhile.
// Invariant: one program at a time, in the order in which they came.

import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Errno } from "../errno.ts";
import { SIZE } from "./insn.ts";
import type { MapFacts, Options, Report, Verdict } from "./verdict.ts";
import { attempt, check, tag, verify } from "./verifier.ts";

export interface Judged {
  verdict: Verdict;
  tag: string;
}

interface Asked {
  insns: Uint8Array;
  maps: readonly MapFacts[];
  options: Options;
}

/** Longer programs than this take the thread, and those whose paths are: the rest costs milliseconds. */
const BYTES_AT_ONCE = 8 * 512;
/** Instructions gone through. */
const PATIENCE_AT_ONCE = 2_048;
/** Programs that wait for the thread; Linux, too, answers EAGAIN, and loaders come again. */
const WAITING_MAX = 64;

function answer({ insns, maps, options }: Asked): Report {
  return verify(Buffer.from(insns.buffer, insns.byteOffset, insns.byteLength), maps, options);
}

let thread: Worker | undefined;
let last: Promise<unknown> = Promise.resolve();
let waiting = 0;

function left(): void {
  waiting -= 1;
}

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

/** ms; Linux takes about one second for its million instructions. */
const LIMIT = 10_000;

/** Nothing refuses it for certain, and nothing is proved: the machine finds out. */
const unknown = ({ insns }: Asked): Report => ({
  ...{ refusal: null, log: "", verified: 0 },
  safe: new Uint8Array(insns.length / SIZE),
});

function ask(asked: Asked): Promise<Report> {
  thread ??= start();
  const worker = thread;
  return new Promise((resolve, reject) => {
    const over = () => {
      clearTimeout(timer);
      worker.off("message", done).off("error", fail);
    };
    const fail = (error: Error) => {
      thread = undefined;
      over();
      reject(error);
    };
    const done = (report: Report) => {
      over();
      resolve(report);
    };
    const timer = setTimeout(() => {
      thread = undefined;
      over();
      void worker.terminate();
      resolve(unknown(asked));
    }, LIMIT);
    worker.once("message", done).once("error", fail);
    worker.postMessage(asked);
  });
}

/** What check() and tag() say of a program. */
export function judge(insns: Buffer, options: Options): Judged {
  return { verdict: check(insns, options), tag: tag(insns) };
}

/** @returns what verify() says of a program. @throws EAGAIN: too many are waiting. */
export function examine(
  insns: Buffer,
  maps: readonly MapFacts[],
  options: Options,
): Report | Promise<Report> {
  const isShort = insns.length <= BYTES_AT_ONCE;
  const report = isShort ? attempt(insns, maps, options, PATIENCE_AT_ONCE) : null;
  if (report !== null) return report;
  if (waiting >= WAITING_MAX) {
    throw new Errno("EAGAIN", `${WAITING_MAX} programs are waiting to be verified`);
  }
  waiting += 1;
  const turn = last.then(() => ask({ insns, maps, options }));
  last = turn.then(left, left);
  return turn;
}

if (!isMainThread) {
  parentPort?.on("message", (asked: Asked) => parentPort?.postMessage(answer(asked)));
}
