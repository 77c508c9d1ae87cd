import request from "supertest";
import { describe, expect, it } from "vitest";
import { downgrade } from "../../api/openapi/downgrade.ts";
import { type Document, document, routes } from "../../api/openapi/openapi.ts";
import { testService } from "../support/service.ts";

/** The document as JSON and in OpenAPI 3.0 says what openapi.yaml says. */

const service = await testService();

/** The schema in OpenAPI 3.0, when it stands alone in a document. */
function downgraded(schema: object): unknown {
  const { components } = downgrade({
    openapi: "3.1.0",
    info: {},
    components: { schemas: { schema } },
  });
  return (components as { schemas: { schema: unknown } }).schemas.schema;
}

describe("editions", () => {
  it("/openapi.json is openapi.yaml as JSON", async () => {
    const { status, type, body } = await request(service.server).get("/openapi.json");
    expect([status, type]).toEqual([200, "application/json"]);
    expect(body).toEqual(document);
  });

  it("/openapi-3.0.json has the same operations, parameters, responses and schemas", async () => {
    const { status, type, body } = await request(service.server).get("/openapi-3.0.json");
    expect([status, type, body.openapi]).toEqual([200, "application/json", "3.0.3"]);
    const edition = body as Document;
    for (const { path, method, operation } of routes) {
      const other = edition.paths[path]?.[method];
      expect(other?.operationId).toBe(operation.operationId);
      expect(other?.parameters?.length).toBe(operation.parameters?.length);
      expect(Object.keys(other?.responses ?? {})).toEqual(Object.keys(operation.responses));
    }
    for (const part of ["parameters", "schemas", "securitySchemes"] as const) {
      expect(Object.keys(edition.components[part])).toEqual(Object.keys(document.components[part]));
    }
  });

  it("each edition is made once", async () => {
    const { JSON_30, JSON_31 } = await import("../../api/openapi/editions.ts");
    expect(JSON_30.read()).toBe(JSON_30.read());
    expect(JSON_31.read()).toBe(JSON_31.read());
  });
});

const REF = "#/components/schemas/Fd";

describe("downgrade", () => {
  it.each([
    ["a constant", { const: "map" }, { enum: ["map"] }],
    ["examples", { type: "string", examples: ["a", "b"] }, { type: "string", example: "a" }],
    ["a type with null", { type: ["string", "null"] }, { type: "string", nullable: true }],
    ["null", { type: "null" }, { enum: [null], nullable: true }],
    ["base64", { type: "string", contentEncoding: "base64" }, { type: "string", format: "byte" }],
    [
      "bytes",
      { contentMediaType: "application/octet-stream" },
      { type: "string", format: "binary" },
    ],
    ["an exclusive minimum", { exclusiveMinimum: 0 }, { minimum: 0, exclusiveMinimum: true }],
    ["a plain reference", { $ref: REF }, { $ref: REF }],
    [
      "a reference with a description",
      { $ref: REF, description: "The new fd." },
      { description: "The new fd.", allOf: [{ $ref: REF }] },
    ],
    [
      "a schema inside others",
      { properties: { const: { items: { const: 1 } } } },
      { properties: { const: { items: { enum: [1] } } } },
    ],
    ["an extension", { "x-max-items": 3 }, { "x-max-items": 3 }],
  ])("downgrade writes %s as OpenAPI 3.0 does", (_, schema, written) => {
    expect(downgraded(schema)).toEqual(written);
  });

  it.each([
    ["prefixItems", [{}]] as const,
    ["if", {}] as const,
    ["type", ["string", "integer"]] as const,
  ])("downgrade refuses %s, which 3.0 cannot say", (keyword, value) => {
    expect(() => downgraded({ [keyword]: value })).toThrow(/OpenAPI 3.0 has no/);
  });

  it("downgrade replaces the identifier of the licence by its address", () => {
    const info = { title: "a", license: { name: "MIT", identifier: "MIT" } };
    expect(downgrade({ openapi: "3.1.0", info })).toEqual({
      openapi: "3.0.3",
      info: { title: "a", license: { name: "MIT", url: "https://spdx.org/licenses/MIT.html" } },
    });
  });
});
