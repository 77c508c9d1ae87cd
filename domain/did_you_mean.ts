/** The word that was meant: for messages about one that is not known. */

const PREFIX = /^bpf_((map|prog)_type_)?/;

/** Capitals, blanks, underscores and the prefix of the kernel's constants make no difference. */
function plain(word: string): string {
  const lower = word.toLowerCase();
  return lower.replace(PREFIX, "").replaceAll(/[-_\s]/g, "") || lower;
}

/** Edits from one to the other: letters put in, left out, replaced (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    let corner = i;
    const next = [i + 1];
    for (const [j, wanted] of [...other].entries()) {
      const replaced = corner + (letter === wanted ? 0 : 1);
      corner = row[j + 1] as number;
      next.push(Math.min(replaced, corner + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row[other.length] as number;
}

/** Longer words are not compared: the time grows with both lengths. */
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
