import type { Document } from "./openapi.ts";

/**
 * The document as validators need it: without texts, examples, extensions and responses, which decide no
 * validation, because express-openapi-validator walks the whole document twice for every operation.
 */

const UNUSED = new Set([
  ...["description", "summary", "title", "example", "examples", "tags", "responses"],
  // The branches of a union decide by their own constants.
  "discriminator",
]);
/** The keys below these are names that the document describes, not keywords. */
const NAMES = new Set(["properties", "paths", "schemas", "parameters", "securitySchemes"]);
/** The values of these are data, whatever they look like. */
const DATA = new Set(["const", "default", "enum"]);

/** Generators of clients unroll maxItems into tuples, so the document has it under another name. */
const keyword = (key: string) => (key === "x-max-items" ? "maxItems" : key);

function trimmed(value: unknown, named: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => trimmed(item, false));
  if (typeof value !== "object" || value === null) return value;
  // A body of octets is a Buffer, and the codec of values checks each of them itself, by the map.
  if ("x-codec" in value || ("format" in value && value.format === "binary")) return {};
  const matters = (key: string) => named || !(UNUSED.has(key) || key.startsWith("x-"));
  const keep = ([key, item]: [string, unknown]) =>
    !named && DATA.has(key) ? item : trimmed(item, !named && NAMES.has(key));
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, item]): [string, unknown] => [named ? key : keyword(key), item])
      .filter(([key]) => matters(key))
      .map((entry) => [entry[0], keep(entry)]),
  );
}

export function trimDocument(document: Document): Document {
  return trimmed(document, false) as Document;
}
