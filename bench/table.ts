import { median, type Sample } from "./load.ts";

/** Rows of Markdown, and the ratios in them: medians over rounds of the ratio within a round. */

export const digits = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(0));
export const row = (...cells: (string | number)[]) => `| ${cells.join(" | ")} |`;
export const head = (...cells: string[]) => [row(...cells), row(...cells.map(() => "---"))];
export const power = (n: number) => `10^${Math.round(Math.log10(n))}`;

export function ratio(of: Sample[], to: Sample[], pick: (sample: Sample) => number): number {
  return median(of.map((sample, i) => pick(sample) / pick(to[i] as Sample)));
}
