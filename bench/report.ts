import { cpus, loadavg, totalmem } from "node:os";
import { type Chapter, TARGETS } from "./table.ts";

/** Writes the report: the targets of all chapters, then their sections. */

/** Returns the report of some chapters. */
export function reportOf(chapters: Chapter[]): string {
  const targets = chapters.flatMap((chapter) => chapter.targets);
  const sections = chapters.flatMap((chapter) => chapter.sections);
  return ["## Targets", "", ...TARGETS, ...targets, "", ...sections].join("\n");
}

/** Returns the text of bench/RESULTS.md. */
export function report(chapters: Chapter[], redisVersion: string, seconds: number): string {
  const [cpu] = cpus();
  const machine = `${cpu?.model.trim()}, ${cpus().length} CPUs, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const load = loadavg()[0]?.toFixed(1);
  return [
    "# Results of `npm run bench`",
    "",
    `${new Date().toISOString().slice(0, 10)}. ${machine}; Node ${process.versions.node}, Redis ` +
      `${redisVersion}; ${Math.round(seconds)} s, load average at the end ${load}.`,
    "",
    "Everything runs on this one machine: wrk with one thread and 64 connections on loopback, Redis",
    "by a unix socket unless a section says otherwise, without persistence. Contenders take turns,",
    "round by round; a figure is the median of the rounds, a ratio (x) the median of the ratios within",
    "a round. Ratios carry over to other machines, the rest does not. CPU is utime + stime by /proc,",
    "workers included.",
    "",
    reportOf(chapters),
  ].join("\n");
}
