import type { Document } from "./openapi.ts";

/**
 * The document as the validator needs it: without texts, examples, extensions and responses, which decide
 * no validation, because the validator walks the whole document twice for every operation.
 */

const UNUSED = new Set([
  ...["description", "summary", "title", "example", "examples", "tags", "responses"],
]);
/** The keys below these are names that the document describes, not keywords. */
const NAMES = new Set(["properties", "paths", "schemas", "parameters", "securitySchemes"]);
/** The values of these are data, whatever they look like. */
const DATA = new Set(["const", "default", "enum"]);

function trimmed(value: unknown, named: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => trimmed(item, false));
  if (typeof value !== "object" || value === null) return value;
  const matters = (key: string) => named || !(UNUSED.has(key) || key.startsWith("x-"));
  const keep = ([key, item]: [string, unknown]) =>
    !named && DATA.has(key) ? item : trimmed(item, !named && NAMES.has(key));
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => matters(key))
      .map((entry) => [entry[0], keep(entry)]),
  );
}

export function trimDocument(document: Document): Document {
  return trimmed(document, false) as Document;
}
