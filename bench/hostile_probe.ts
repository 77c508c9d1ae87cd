import { readFileSync } from "node:fs";

/**
 * Runs inside the service that the bench starts: it measures the CPU time that the event loop's thread
 * takes between two timers of a millisecond, which other processes of the machine do not change.
 */

const STAT = `/proc/self/task/${process.pid}/schedstat`;
const INTERVAL_MS = 1;

/** ns on a CPU. */
const cpuTime = () => Number(readFileSync(STAT, "latin1").split(" ", 1)[0]);

let last = cpuTime();
let longest = 0;
setInterval(() => {
  const now = cpuTime();
  longest = Math.max(longest, now - last);
  last = now;
}, INTERVAL_MS).unref();

process.on("message", () => {
  process.send?.(longest / 1e6);
  longest = 0;
  last = cpuTime();
});
process.channel?.unref();
