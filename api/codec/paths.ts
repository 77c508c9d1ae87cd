import { einval, type FieldPath } from "../../domain/errno.ts";

/**
 * Rejects paths that the kernel would accept but whose sender meant something else. The Lua checks
 * everything else about paths ("..", "//", dots, lengths) as the kernel does.
 */

const FORBIDDEN: [RegExp, string][] = [
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what it rejects
  [/[\u0000-\u001f\u007f-\u009f]/, "a control character"],
  [/%[0-9A-Fa-f]{2}/, "percent-encoding; decode it"],
  [/\ufffd/, "U+FFFD, which replaces invalid UTF-8"],
];

/** @throws EINVAL */
export function parsePath(path: string, field: FieldPath): string {
  for (const [pattern, what] of FORBIDDEN) {
    if (pattern.test(path)) throw einval(`must not contain ${what}`, field);
  }
  if (!path.isWellFormed()) throw einval("must be well-formed Unicode", field);
  if (path !== path.normalize("NFC")) throw einval("must be in normal form NFC", field);
  return path;
}
