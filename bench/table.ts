import { type LoadSample, median } from "./load.ts";

/** Formats rows of Markdown and their ratios, which are medians over rounds of the ratio within a round. */

export const digits = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(0));
export const row = (...cells: (string | number)[]) => `| ${cells.join(" | ")} |`;
export const head = (...cells: string[]) => [row(...cells), row(...cells.map(() => "---"))];
export const power = (n: number) => `10^${Math.round(Math.log10(n))}`;

/** A part of the report: its rows of the table of targets, and its sections. */
export interface Chapter {
  targets: string[];
  sections: string[];
}

export const TARGETS = head("Target", "", "Figure", "");

const limitText = (limit: number) => (Number.isInteger(limit) ? limit.toFixed(1) : String(limit));

/** Adds a third digit where two would read as the limit. */
function target(what: string, words: string, limit: number, figure: number, isMet: boolean) {
  const wanted = `${words} ${limitText(limit)}`;
  if (Number.isNaN(figure)) return row(what, wanted, "-", "not measured");
  const isNear = figure !== limit && figure.toFixed(2) === limit.toFixed(2);
  return row(what, wanted, figure.toFixed(isNear ? 3 : 2), isMet ? "met" : "missed");
}

export const atMost = (what: string, limit: number, figure: number) =>
  target(what, "at most", limit, figure, figure <= limit);
export const atLeast = (what: string, limit: number, figure: number) =>
  target(what, "at least", limit, figure, figure >= limit);

export function ratio(
  of: LoadSample[],
  to: LoadSample[],
  pick: (sample: LoadSample) => number,
): number {
  return median(of.map((sample, i) => pick(sample) / pick(to[i] as LoadSample)));
}
