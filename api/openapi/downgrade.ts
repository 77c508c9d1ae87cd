/**
 * Writes the document in OpenAPI 3.0, for tools that do not know 3.1. Invariant: every keyword of a schema is either
 * one of 3.0, or translated here, or refused, so that the edition never says less without notice.
 */

type Node = Readonly<Record<string, unknown>>;

/** Keywords of a schema that mean the same in both versions and whose value is no schema. */
const SAME = new Set([
  ...["type", "format", "enum", "default", "example", "title", "description", "required"],
  ...["minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern", "uniqueItems"],
  ...["minItems", "maxItems", "minProperties", "maxProperties", "readOnly", "writeOnly"],
  ...["deprecated", "discriminator", "externalDocs"],
]);
const ONE_SCHEMA = new Set(["items", "not", "additionalProperties"]);
const SCHEMA_LISTS = new Set(["allOf", "oneOf", "anyOf"]);
/** Only some validators know it, and no generator needs it. */
const DROPPED = new Set(["unevaluatedProperties"]);

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const mapValues = (node: unknown, change: (value: unknown) => unknown) =>
  Object.fromEntries(Object.entries(node as Node).map(([key, value]) => [key, change(value)]));

type Translation = (value: unknown, schema: Node) => Node;

/** What 3.0 writes otherwise. */
const TRANSLATED: Readonly<Record<string, Translation>> = {
  const: (value) => ({ enum: [value] }),
  examples: (value) => ({ example: (value as unknown[])[0] }),
  contentEncoding: (value) => ({ format: value === "base64" ? "byte" : value }),
  contentMediaType: (_, { contentEncoding }) =>
    contentEncoding === undefined ? { type: "string", format: "binary" } : {},
  exclusiveMinimum: (value) => ({ minimum: value, exclusiveMinimum: true }),
  exclusiveMaximum: (value) => ({ maximum: value, exclusiveMaximum: true }),
};

function keyword(key: string, value: unknown, schema: Node): Node {
  if (key.startsWith("x-")) return { [key]: value };
  if (key === "type" && Array.isArray(value)) return nullableType(value);
  if (key === "type" && value === "null") return { enum: [null], nullable: true };
  if (SAME.has(key)) return { [key]: value };
  if (ONE_SCHEMA.has(key)) return { [key]: isNode(value) ? schemaOf(value) : value };
  if (SCHEMA_LISTS.has(key)) return { [key]: (value as Node[]).map(schemaOf) };
  if (key === "properties") return { properties: mapValues(value, schemaOf) };
  if (DROPPED.has(key)) return {};
  const translation = TRANSLATED[key];
  if (!translation) throw new Error(`OpenAPI 3.0 has no keyword ${key}`);
  return translation(value, schema);
}

function nullableType(types: unknown[]): Node {
  const [type, ...others] = types.filter((name) => name !== "null");
  if (others.length > 0) throw new Error(`OpenAPI 3.0 has no type ${JSON.stringify(types)}`);
  return types.includes("null") ? { type, nullable: true } : { type };
}

/** In 3.0 a reference has no siblings, so what stands beside it becomes a schema that includes it. */
function schemaOf(value: unknown): unknown {
  const { $ref, ...others } = value as Node;
  const parts = Object.entries(others).map(([key, item]) => keyword(key, item, others));
  const schema = Object.assign({}, ...parts) as Node;
  if ($ref === undefined) return schema;
  if (parts.length === 0) return { $ref };
  const { allOf = [] } = schema as { allOf?: unknown[] };
  return { ...schema, allOf: [{ $ref }, ...allOf] };
}

const BINARY = { type: "string", format: "binary" };

/** Bytes have no schema in 3.1, but need one in 3.0. */
const mediaType = (value: unknown, name: string): unknown =>
  name.endsWith("/octet-stream") && !(value as Node).schema
    ? { ...(value as Node), schema: BINARY }
    : part(value);

/** Any part of the document outside of schemas; `examples` hold data. */
function part(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(part);
  if (!isNode(value)) return value;
  if (value.$ref !== undefined) return { $ref: value.$ref };
  const entries = Object.entries(value).map(([key, item]) => {
    if (key === "schema") return [key, schemaOf(item)];
    if (key === "schemas") return [key, mapValues(item, schemaOf)];
    if (key === "example" || key === "examples" || key.startsWith("x-")) return [key, item];
    if (key !== "content") return [key, part(item)];
    return [
      key,
      Object.fromEntries(
        Object.entries(item as Node).map(([name, media]) => [name, mediaType(media, name)]),
      ),
    ];
  });
  return Object.fromEntries(entries);
}

/** An SPDX identifier is a word of 3.1; 3.0 names the licence by its address. */
function license({ identifier, ...others }: Node): Node {
  return identifier === undefined
    ? others
    : { ...others, url: `https://spdx.org/licenses/${identifier}.html` };
}

/** @throws if a schema has a keyword that 3.0 cannot express. */
export function downgrade(document: object): Node {
  const { openapi: _, info, ...rest } = document as Node & { info: Node };
  const { summary: __, license: given, ...texts } = info;
  return {
    openapi: "3.0.3",
    info: isNode(given) ? { ...texts, license: license(given) } : texts,
    ...(part(rest) as Node),
  };
}
