import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { JSON_TYPE } from "../media_types.ts";

/** openapi.yaml as data: the one list of operations, from which everything else is made. */

export interface Parameter {
  $ref?: string;
  name: string;
  in: string;
  required?: boolean;
  allowReserved?: boolean;
  schema?: { $ref?: string; type?: string };
}

export interface JsonSchema {
  $ref?: string;
  type?: string;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, JsonSchema>;
  allOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

export interface Operation {
  operationId: string;
  description?: string;
  security?: Record<string, string[]>[];
  parameters?: Parameter[];
  "x-bpf-command": string[];
  "x-errnos": string[];
  requestBody?: { required?: boolean; content: Record<string, { schema?: JsonSchema }> };
  responses: Record<string, Response>;
}

export interface Response {
  $ref?: string;
  headers?: object;
  content?: Record<string, unknown>;
}

export interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    parameters: Record<string, Parameter>;
    responses: Record<string, Response>;
    schemas: Record<string, JsonSchema>;
    securitySchemes: Record<string, unknown>;
  };
  "x-errno-status": Record<string, number>;
}

export const TEXT = readFileSync(join(import.meta.dirname, "../../openapi.yaml"), "utf8");

export const document = load(TEXT) as Document;

export interface Route {
  method: "get" | "put" | "post" | "patch" | "delete";
  /** As in the document: /v1/fds/{fd}. */
  path: string;
  operation: Operation;
}

export const routes: Route[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method as Route["method"],
    path,
    operation,
  })),
);

/** A path as routers write it: /v1/fds/:fd. */
export const routerPath = ({ path }: Pick<Route, "path">) => path.replaceAll(/\{(\w+)\}/g, ":$1");

export function resolve(parameter: Parameter): Parameter {
  const name = parameter.$ref?.split("/").at(-1);
  return name === undefined ? parameter : (document.components.parameters[name] as Parameter);
}

export function resolveResponse(response: Response): Response {
  const name = response.$ref?.split("/").at(-1);
  return name === undefined ? response : (document.components.responses[name] as Response);
}

/** The schema that a reference names, or the schema itself. */
export function dereference(schema: JsonSchema): JsonSchema {
  const name = schema.$ref?.split("/").at(-1);
  return name === undefined ? schema : (document.components.schemas[name] as JsonSchema);
}

export function typeOf({ schema = {} }: Parameter): string | undefined {
  return dereference(schema).type;
}

/** Names of the properties of a schema, those of its allOf and oneOf too. */
export function propertiesOf(schema: JsonSchema): string[] {
  const { properties = {}, allOf = [], oneOf = [] } = dereference(schema);
  return [...Object.keys(properties), ...[...allOf, ...oneOf].flatMap(propertiesOf)];
}

/** Names of the properties that a JSON body of the operation can have. */
export function bodyProperties({ requestBody }: Operation): ReadonlySet<string> {
  return new Set(propertiesOf(requestBody?.content[JSON_TYPE]?.schema ?? {}));
}

/** Names of parameters that are integers wherever they appear. */
export const INTEGER_PARAMETERS: ReadonlySet<string> = new Set(
  routes
    .flatMap(({ operation }) => operation.parameters ?? [])
    .map(resolve)
    .filter((parameter) => typeOf(parameter) === "integer")
    .map(({ name }) => name),
);
