import type { CaseResult } from "./case.ts";

/** Counts the outcomes of many cases. */

/** Matches the statistics at the end of the kernel's log, which are not a reason. */
const STATISTICS = /^(processed|verification time|stack depth)/;

function reasonOf(log: string): string {
  const lines = log.split("\n").filter((line) => !STATISTICS.test(line));
  return (lines.at(-1) ?? "").replace(/\d+/g, "N");
}

export class FuzzTally {
  #accepted = 0;
  #refused = 0;
  /** Counts the refused programs for which the service returns another errno. */
  #otherwise = 0;
  /** Counts the programs that only Linux refused, by reason. */
  readonly #laxer = new Map<string, number>();
  #runs = 0;
  #inputs = 0;

  count({ loads, run }: CaseResult, service: CaseResult): void {
    for (const [i, { errno, log }] of loads.entries()) {
      const verdict = service.loads[i]?.errno;
      if (errno === 0) this.#accepted++;
      else if (verdict !== 0) {
        this.#refused++;
        if (verdict !== errno) this.#otherwise++;
      } else {
        const reason = reasonOf(log ?? "");
        this.#laxer.set(reason, (this.#laxer.get(reason) ?? 0) + 1);
      }
    }
    if (run && "retval" in run) this.#runs++;
    else if (run) this.#inputs++;
  }

  lines(): string[] {
    const alone = [...this.#laxer].sort(([, a], [, b]) => b - a);
    const count = alone.reduce((sum, [, times]) => sum + times, 0);
    return [
      `programs that Linux accepts: ${this.#accepted}`,
      `programs that both refuse: ${this.#refused}, ${this.#otherwise} with different errnos`,
      `programs that Linux alone refuses: ${count}`,
      ...alone.map(([reason, times]) => `  ${times} ${reason}`),
      `runs: ${this.#runs}, and ${this.#inputs} whose input Linux refuses`,
    ];
  }
}
