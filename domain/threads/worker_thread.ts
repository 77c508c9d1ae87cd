import { Worker, type WorkerOptions } from "node:worker_threads";

/**
 * A thread that runs a module, and does not keep the process alive. One of Node 20 does not take over tsx
 * from the process that starts it.
 *
 * @param url of the module.
 */
export function workerThread(url: string, options: WorkerOptions): Worker {
  const boot = `import("tsx/esm/api").then((tsx) => {
    tsx.register();
    return import(${JSON.stringify(url)});
  });`;
  const worker = new Worker(boot, { ...options, eval: true });
  worker.unref();
  return worker;
}
