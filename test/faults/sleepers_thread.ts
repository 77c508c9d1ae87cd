import { parentPort, workerData } from "node:worker_threads";
import { Sleepers, type SleepersOptions } from "./sleepers.ts";

/** Runs sessions that renew late in a thread: a scenario that sends a lot would delay their renewals. */

const sleepers = new Sleepers(workerData as SleepersOptions);

parentPort?.once("message", async () => {
  await sleepers.stop();
  const { renewals, lost, problems } = sleepers;
  parentPort?.postMessage({ renewals, lost, problems });
});

await sleepers.start();
parentPort?.postMessage("started");
