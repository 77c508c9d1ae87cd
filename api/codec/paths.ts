import { einval, type FieldPath } from "../../domain/errno.ts";
import { isPrintable } from "../text.ts";

/**
 * Rejects paths that the kernel would accept but whose sender meant something else. The Lua checks
 * everything else about paths ("..", "//", dots, lengths) as the kernel does.
 */

const FORBIDDEN: [RegExp, string][] = [
  [/%[0-9A-Fa-f]{2}/, "percent-encoding; decode it"],
  [/\ufffd/, "U+FFFD, which replaces invalid UTF-8"],
];

/** @throws EINVAL */
export function parsePath(path: string, field: FieldPath): string {
  if (!isPrintable(path)) throw einval("must not contain a control or bidi character", field);
  for (const [pattern, what] of FORBIDDEN) {
    if (pattern.test(path)) throw einval(`must not contain ${what}`, field);
  }
  if (!path.isWellFormed()) throw einval("must be well-formed Unicode", field);
  if (path !== path.normalize("NFC")) throw einval("must be in normal form NFC", field);
  return path;
}
