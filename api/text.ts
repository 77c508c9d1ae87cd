/** Text of strangers: where it may not stand, and how it is shown to people. */

/**
 * Characters that a terminal obeys or that reorder the text around them: C0, DEL, C1, the line and paragraph
 * separators, and the bidirectional marks, embeddings, overrides and isolates.
 */
const CONTROLS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what it finds
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const escapeOne = (character: string) =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** True for text without control characters; every label and path is such text. */
export const isPrintable = (text: string): boolean => text.search(CONTROLS) < 0;

/** At most so many characters of a value are quoted in an error. */
export const MAX_QUOTED = 40;

/** Quotes the beginning of a value that was sent. */
export const quoteText = (text: string, length = MAX_QUOTED) =>
  JSON.stringify(text.slice(0, length));

/** Escapes control characters as JSON does, and replaces half of a surrogate pair. */
export function escapeText(text: string): string {
  return text.toWellFormed().replace(CONTROLS, escapeOne);
}

/** Escapes a text of several lines. */
export function escapeLines(text: string): string {
  return text
    .toWellFormed()
    .replace(CONTROLS, (one) => (one === "\n" || one === "\t" ? one : escapeOne(one)));
}
