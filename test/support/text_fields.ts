import { dereference, type JsonSchema, type Route } from "../../api/openapi/openapi.ts";

/** Finds every place of a JSON body that can hold text, from openapi.yaml. */

interface FieldSchema extends JsonSchema {
  anyOf?: FieldSchema[];
  oneOf?: FieldSchema[];
  allOf?: FieldSchema[];
  properties?: Record<string, FieldSchema>;
  items?: FieldSchema;
  additionalProperties?: FieldSchema | boolean;
}

export type FieldSteps = readonly (string | number)[];

export interface TextFields {
  /** The paths to strings; a schema without a type can be a string too. */
  strings: FieldSteps[];
  /** The paths to objects, whose names are text. */
  objects: FieldSteps[];
}

const UNTYPED = ["type", "enum", "oneOf", "anyOf", "allOf", "properties", "items"] as const;
/** Schemas of JSON contain each other. */
const MAX_STEPS = 5;

function collect(schema: FieldSchema, at: FieldSteps, into: TextFields): void {
  if (at.length > MAX_STEPS) return;
  const own = dereference(schema) as FieldSchema;
  const { oneOf = [], anyOf = [], allOf = [], properties = {}, items } = own;
  if (own.type === "string" || UNTYPED.every((name) => own[name] === undefined)) {
    into.strings.push(at);
  }
  if (own.type === "object") into.objects.push(at);
  for (const branch of [...oneOf, ...anyOf, ...allOf]) collect(branch, at, into);
  for (const [name, part] of Object.entries(properties)) collect(part, [...at, name], into);
  if (items) collect(items, [...at, 0], into);
  const { additionalProperties: others } = own;
  if (typeof others === "object") collect(others, [...at, "other"], into);
}

function unique(paths: FieldSteps[]): FieldSteps[] {
  return [...new Map(paths.map((path) => [path.join("/"), path])).values()];
}

export function textFields({ operation }: Route): TextFields {
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const fields: TextFields = { strings: [], objects: [] };
  if (schema) collect(schema, [], fields);
  return { strings: unique(fields.strings), objects: unique(fields.objects) };
}

/** Copies a body with what `change` makes of the part at the path. */
export function changed(
  body: unknown,
  [step, ...rest]: FieldSteps,
  change: (part: unknown) => unknown,
): unknown {
  if (step === undefined) return change(body);
  if (typeof step === "number") {
    return [changed(Array.isArray(body) ? body[step] : undefined, rest, change)];
  }
  const object = typeof body === "object" && !Array.isArray(body) ? body : {};
  const part: unknown = (object as Record<string, unknown> | null)?.[step];
  return { ...object, [step]: changed(part, rest, change) };
}
