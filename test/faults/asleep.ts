import { once } from "node:events";
import { workerThread } from "../../domain/threads/worker_thread.ts";
import type { SleepersOptions } from "./sleepers.ts";

/** Starts sessions that renew late, in a thread of their own. */

export interface SleepersReport {
  renewals: number;
  lost: number;
  problems: string[];
}

/** Resolves when all sessions are open. The function that it returns wakes and ends them. */
export async function startSleepers(
  options: SleepersOptions,
): Promise<() => Promise<SleepersReport>> {
  const url = new URL("./sleepers_thread.ts", import.meta.url).href;
  const thread = workerThread(url, { workerData: options });
  await once(thread, "message");
  return async () => {
    const report = once(thread, "message");
    thread.postMessage("stop");
    const [{ renewals, lost, problems }] = (await report) as [SleepersReport];
    await thread.terminate();
    return { renewals, lost, problems };
  };
}
