import { distance } from "fastest-levenshtein";

/** Finds the known word that an unknown one was meant to be, for messages. */

const PREFIX = /^bpf_((map|prog)_type_)?/;

/** Capitals, blanks, underscores and the prefix of the kernel's constants make no difference. */
function plain(word: string): string {
  const lower = word.toLowerCase();
  return lower.replace(PREFIX, "").replaceAll(/[-_\s]/g, "") || lower;
}

/** Longer words are not compared: the time grows with the product of both lengths. */
const LENGTH_MAX = 40;
const EDITS_MAX = 3;

/** The first of the closest among `words`, or undefined where none is close. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > LENGTH_MAX) return undefined;
  const given = plain(word);
  let best: string | undefined;
  // At least half of it is as it should be.
  let least = Math.min(EDITS_MAX, Math.floor(given.length / 2)) + 1;
  for (const candidate of words) {
    const edits = distance(given, plain(candidate));
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

/** `: did you mean hash?`, or nothing. */
export function didYouMean(word: string, words: readonly string[]): string {
  const found = nearest(word, words);
  return found === undefined ? "" : `: did you mean ${found}?`;
}
