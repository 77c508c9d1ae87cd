import { Worker, type WorkerOptions } from "node:worker_threads";

/** Starts TypeScript modules in threads and processes of their own. */

/** Node runs TypeScript by itself from 22.18 on; older ones need tsx. */
const canStripTypes = Boolean(process.features.typescript);

/** Arguments with which a process of this Node runs a TypeScript file. */
export const NODE_ARGS: readonly string[] = canStripTypes ? [] : ["--import", "tsx"];

/** A thread of Node 20 does not take over tsx from the process that starts it. */
function bootWithTsx(url: string): string {
  return `import("tsx/esm/api").then((tsx) => {
    tsx.register();
    return import(${JSON.stringify(url)});
  });`;
}

/**
 * Starts a thread that runs a module and does not keep the process alive.
 *
 * @param url of the module.
 */
export function workerThread(url: string, options: WorkerOptions): Worker {
  const worker = canStripTypes
    ? new Worker(new URL(url), options)
    : new Worker(bootWithTsx(url), { ...options, eval: true });
  worker.unref();
  return worker;
}
