import type { Exec } from "./exec.ts";
import { NATIVE } from "./exec_engines.ts";
import { EMPTY, LOOKUP } from "./exec_http.ts";
import { KERNEL, UBPF } from "./exec_jits.ts";
import type { LoadTimes } from "./exec_load.ts";
import { EXACT, FACTS, type Speeds } from "./exec_speed.ts";
import { type LoadSample, median, medianSample } from "./load.ts";
import { atLeast, atMost, type Chapter, digits, head, ratio, row } from "./table.ts";

/** Writes the part of bench/RESULTS.md on runs of programs. */

const JIT_TARGET = 3;
const LOAD_TARGET = 1000;
const HTTP_TARGET = 0.7;

const rate = (sample: LoadSample) => sample.rate;

/** Returns the ratio of two engines in each round, or an empty list if one of them did not run. */
function ratios(speeds: Speeds, of: string, to: string): number[] {
  const [ours = "", theirs = ""] = [speeds[of], speeds[to]];
  if (typeof ours === "string" || typeof theirs === "string") return [];
  return ours.map((ns, i) => ns / (theirs[i] as number));
}

function jitTargets({ speeds }: Exec): string[] {
  return Object.entries(speeds).flatMap(([program, engines]) => {
    const all = ratios(engines, FACTS, KERNEL);
    return all.length === 0
      ? []
      : [atMost(`ns of ${program} / ${KERNEL}`, JIT_TARGET, median(all))];
  });
}

const perHundred = ({ all, insns }: LoadTimes): number => (100 * all) / Math.max(insns, 100);

function loadTarget(load: LoadTimes): string {
  const figure = perHundred(load);
  const what = `µs per 100 instructions, loading ${load.insns}`;
  const verdict = figure < LOAD_TARGET ? "met" : "missed";
  return row(what, `less than ${LOAD_TARGET}`, digits(figure), verdict);
}

function execTargets(measured: Exec): string[] {
  const { load, http } = measured;
  const empty = ratio(http[EMPTY] ?? [], http[LOOKUP] ?? [], rate);
  return [
    ...jitTargets(measured),
    ...load.map(loadTarget),
    atLeast("rate of an empty run over HTTP / element lookup", HTTP_TARGET, empty),
  ];
}

/** Formats ns, and the ratio to the kernel's with its range over the rounds. */
function cell(speeds: Speeds, engine: string): string {
  const measured = speeds[engine] ?? "";
  if (typeof measured === "string") return "-";
  const all = ratios(speeds, engine, KERNEL);
  const ns = digits(median(measured));
  if (all.length === 0) return `(${ns})`;
  const range = `${digits(Math.min(...all))} to ${digits(Math.max(...all))}`;
  return engine === KERNEL ? `x1.00 (${ns})` : `x${digits(median(all))}, ${range} (${ns})`;
}

/** Lists the programs that an engine did not run, with the reason. */
function absences(speeds: Exec["speeds"]): string[] {
  const whys = new Map<string, string[]>();
  for (const [program, engines] of Object.entries(speeds)) {
    for (const [engine, measured] of Object.entries(engines)) {
      if (typeof measured !== "string") continue;
      const why = `${engine}: ${measured}`;
      whys.set(why, [...(whys.get(why) ?? []), program]);
    }
  }
  const all = Object.keys(speeds).length;
  return [...whys].map(
    ([why, names]) => `- ${why}${names.length === all ? "" : ` (${names.join("; ")})`}`,
  );
}

function speedTable({ speeds }: Exec): string[] {
  const engines = [FACTS, EXACT, NATIVE, KERNEL, UBPF];
  const lines = Object.entries(speeds).map(([program, measured]) =>
    row(program, ...engines.map((engine) => cell(measured, engine))),
  );
  const missing = absences(speeds);
  const note = missing.length === 0 ? [] : ["What did not run:", "", ...missing, ""];
  return [...head("", ...engines), ...lines, "", ...note];
}

function loadTable({ load }: Exec): string[] {
  const lines = load.map((one) => {
    const { insns, verify, compile, module, all, kernel } = one;
    const theirs = typeof kernel === "string" ? "-" : digits(kernel);
    const times = [verify, compile, module, all].map(digits);
    return row(insns, ...times, digits(perHundred(one)), theirs);
  });
  const columns = ["verify", "compile", "module", "all", "all, per 100", "kernel's BPF_PROG_LOAD"];
  return [...head("instructions", ...columns), ...lines, ""];
}

function httpTable({ http }: Exec): string[] {
  const lookup = http[LOOKUP] ?? [];
  const lines = Object.entries(http).map(([name, samples]) => {
    const { rate: requests, p50, p99, cpu } = medianSample(samples);
    const used = (of: string) => {
      const times = ratio(samples, lookup, (s) => s.cpu[of] ?? Number.NaN);
      return `x${digits(times)} (${digits(cpu[of] ?? Number.NaN)})`;
    };
    const rates = `x${digits(ratio(samples, lookup, rate))} (${digits(requests)})`;
    return row(name, rates, digits(p50), digits(p99), used("server"), used("redis"));
  });
  const columns = ["requests/s", "p50 ms", "p99 ms", "its CPU µs/request", "Redis CPU µs/request"];
  return [...head("", ...columns), ...lines, ""];
}

function execSections(measured: Exec): string[] {
  return [
    "## Programs that run",
    "",
    "ns of a run, as test runs tell it: the service's machine in this process, without HTTP and Redis; as it",
    "is, and with every access to memory checked, whatever was proved at load. The kernel's are its own",
    "(BPF_PROG_TEST_RUN with repeat), its code placed anew each round. Ratios (x) are to the kernel's JIT,",
    "median and range of the rounds; every figure is the best of five measurements of a round.",
    "",
    ...speedTable(measured),
    "### Loading",
    "",
    "µs, warm: judging the program, compiling it to WebAssembly, making the module. The programs read the",
    "packet, branch on it, use the stack and count in an array, some 25 instructions over and over. A figure",
    "is the median of the rounds' quickest: of three loads, or of as many as have 3000 instructions.",
    "",
    ...loadTable(measured),
    "### Over HTTP",
    "",
    "Ratios (x) are to the lookup of an element of a hash. The empty program returns 0; the other one adds 1",
    "to an element of an array, which takes a second call.",
    "",
    ...httpTable(measured),
  ];
}

export const execChapter = (measured: Exec): Chapter => ({
  targets: execTargets(measured),
  sections: execSections(measured),
});
