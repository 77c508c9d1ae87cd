import { distance } from "fastest-levenshtein";

/** Suggests the known word that is closest to an unknown one, for error messages. */

const PREFIX = /^bpf_((map|prog)_type_)?/;

/** Drops case, blanks, underscores and the prefix of the kernel's constants. */
function normalize(word: string): string {
  const lower = word.toLowerCase();
  return lower.replace(PREFIX, "").replaceAll(/[-_\s]/g, "") || lower;
}

/** Longer words are skipped, because the time grows with the product of both lengths. */
const LENGTH_MAX = 40;
const EDITS_MAX = 3;

/** Returns the first of the closest `words`, or undefined when all are too different. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > LENGTH_MAX) return undefined;
  const given = normalize(word);
  let best: string | undefined;
  // At most half of the letters may differ.
  let least = Math.min(EDITS_MAX, Math.floor(given.length / 2)) + 1;
  for (const candidate of words) {
    const edits = distance(given, normalize(candidate));
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

/** Returns `: did you mean hash?`, or an empty text. */
export function didYouMean(word: string, words: readonly string[]): string {
  const found = nearest(word, words);
  return found === undefined ? "" : `: did you mean ${found}?`;
}
