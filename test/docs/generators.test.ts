import { describe, expect, it } from "vitest";
import { document, routes } from "../../api/openapi/openapi.ts";

/** Rules that generators of clients need; decision 62 tells what each of them prevents. */

type Node = Record<string, unknown>;

const { schemas, parameters, ...others } = document.components as unknown as Record<string, Node>;
const responses = others.responses as Node;
const operationIds = routes.map(({ operation }) => operation.operationId.toLowerCase());

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Keys whose values are data, or names of what the document describes. */
const DATA = new Set(["example", "examples", "enum", "mapping"]);

/** Every schema below a place, with the place. */
function* schemasIn(value: unknown, at: string): Generator<[at: string, schema: Node]> {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* schemasIn(item, `${at}/${i}`);
  }
  if (!isNode(value)) return;
  if (isSchema(at)) yield [at, value];
  for (const [key, item] of Object.entries(value)) {
    if (!DATA.has(key)) yield* schemasIn(item, `${at}/${key}`);
  }
}

const isSchema = (at: string) =>
  /\/(schema|items|additionalProperties)$|\/(schemas|properties)\/\w+$|\/(allOf|oneOf|anyOf)\/\d+$/.test(
    at,
  );

const all = [...schemasIn(document, "")];
const where = (wrong: (schema: Node, at: string) => boolean) =>
  all.filter(([at, schema]) => wrong(schema, at)).map(([at]) => at);

/** Names that JavaScript, Python, Java, C# or Go use themselves. */
const HIDING = [
  ...["Array", "Blob", "Body", "Boolean", "Date", "Element", "Error", "Event", "Exception", "File"],
  ...["Function", "Headers", "Iterator", "List", "Map", "Node", "Number", "Object", "Option"],
  ...["Partial", "Path", "Promise", "Record", "Request", "Required", "Response", "Result", "Set"],
  ...["Stream", "String", "Symbol", "Time", "Type", "Union"],
];

describe("the document suits generators", () => {
  it("the walk finds the schemas of parameters, bodies and components", () => {
    expect(all.length).toBeGreaterThan(400);
    const places = all.map(([at]) => at);
    expect(places).toContain("/components/schemas/MapInput/properties/key_size");
    expect(places).toContain("/components/parameters/FdPath/schema");
  });

  it("a name stands once among parameters, schemas, responses and operations", () => {
    const names = [schemas, parameters, responses].flatMap((part) => Object.keys(part ?? {}));
    const lower = names.map((name) => name.toLowerCase());
    expect(lower.filter((name, i) => lower.indexOf(name) !== i)).toEqual([]);
    expect(lower.filter((name) => operationIds.includes(name))).toEqual([]);
  });

  it("no schema hides a name of a language", () => {
    expect(Object.keys(schemas ?? {}).filter((name) => HIDING.includes(name))).toEqual([]);
  });

  it("every branch of a union and every object in an array has a name", () => {
    const isBranch = /\/(oneOf|anyOf|allOf)\/\d+$/;
    expect(where(({ $ref }, at) => isBranch.test(at) && $ref === undefined)).toEqual([]);
    const isItem = /\/(items|additionalProperties)$/;
    expect(where(({ type }, at) => isItem.test(at) && type === "object")).toEqual([]);
  });

  it("a union whose branches have different constants of a property names it as discriminator", () => {
    const constantsOf = ($ref: unknown) => {
      const { properties = {} } = (schemas as Record<string, Node>)[
        String($ref).split("/").at(-1) ?? ""
      ] as { properties?: Record<string, { enum?: unknown[] }> };
      return Object.keys(properties).filter((name) => properties[name]?.enum?.length === 1);
    };
    const missing = where(({ oneOf, discriminator }) => {
      if (!Array.isArray(oneOf) || discriminator !== undefined) return false;
      const [first = [], ...rest] = (oneOf as Node[]).map(({ $ref }) => constantsOf($ref));
      return first.some((name) => rest.every((names) => names.includes(name)));
    });
    expect(missing).toEqual([]);
  });

  it("every integer has the format of its range", () => {
    const wrong = where(({ type, format, maximum = Number.MAX_SAFE_INTEGER }) => {
      if (type !== "integer") return false;
      return format !== (Number(maximum) < 2 ** 31 ? "int32" : "int64");
    });
    expect(wrong).toEqual([]);
    expect(where(({ maximum }) => Number(maximum) > Number.MAX_SAFE_INTEGER)).toEqual([]);
  });

  it("every schema has a type, a reference or branches", () => {
    const says = ["type", "$ref", "oneOf", "anyOf", "allOf"];
    // Some generators cannot make a union of values that contains itself.
    const untyped = [
      "/components/schemas/JsonArray/items",
      "/components/schemas/JsonObject/additionalProperties",
    ];
    expect(where((schema) => !says.some((key) => key in schema))).toEqual(untyped);
    expect(where(({ type, items }) => type === "array" && items === undefined)).toEqual([]);
  });

  it("no array has maxItems, and no property of a body or response a default", () => {
    expect(where((schema) => "maxItems" in schema)).toEqual([]);
    const inComponents = /^\/components\/schemas\//;
    expect(where((schema, at) => inComponents.test(at) && "default" in schema)).toEqual([]);
  });
});
