import type { Document } from "./openapi.ts";

/**
 * The document as the validator needs it. For every operation it walks all of it twice, so what
 * decides no validation stays out: texts, examples, extensions and responses.
 */

const UNUSED = new Set([
  ...["description", "summary", "title", "example", "examples", "tags", "responses"],
]);
/** Below these, names are what the document describes, not its own words. */
const NAMES = new Set(["properties", "paths", "schemas", "parameters", "securitySchemes"]);
/** Below these is data, whatever it looks like. */
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
