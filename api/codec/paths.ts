import { einval, type FieldPath } from "../../domain/errno.ts";

/**
 * What a path may not contain though the kernel would take it: text that is not what its sender
 * meant. Everything else about paths ("..", "//", dots, lengths) is the kernel's to judge.
 */
const FORBIDDEN: [RegExp, string][] = [
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  [/[\u0000-\u001f\u007f-\u009f]/, "a control character"],
  [/%[0-9A-Fa-f]{2}/, "a percent-encoding that was not decoded"],
  [/\ufffd/, "a character that was not UTF-8"],
];

/** @throws EINVAL */
export function parsePath(path: string, field: FieldPath): string {
  for (const [pattern, what] of FORBIDDEN) {
    if (pattern.test(path)) throw einval(`the path has ${what} in it`, field);
  }
  if (!path.isWellFormed()) throw einval("the path is not well-formed Unicode", field);
  if (path !== path.normalize("NFC")) throw einval("the path is not in normal form NFC", field);
  return path;
}
