import type { ErrorObject } from "ajv";
import type { ErrorRequestHandler, Request } from "express";
import { didYouMean } from "../../domain/did_you_mean.ts";
import { escapePointer } from "./json_pointer.ts";
import { document, type Operation, type Route, resolve } from "./openapi.ts";
import type { Schemas } from "./schemas.ts";

/**
 * What the document refuses, in a sentence. The validator tells every branch of a union, and not what
 * was given: a refused body is looked at once more, by a validator that keeps that.
 */

interface JsonSchema {
  $ref?: string;
  type?: string;
  const?: unknown;
  required?: string[];
  properties?: Record<string, JsonSchema>;
}

/** As the validator has it: where, and what is wrong there. */
interface Mismatch {
  path: string;
  message: string;
}

interface ValidatorError {
  status?: number;
  errors?: Mismatch[];
}

interface Matched extends Request {
  openapi?: { openApiRoute: string; schema: Operation };
}

const KINDS: Readonly<Record<string, string>> = {
  array: "an array",
  boolean: "true or false",
  integer: "an integer",
  object: "an object",
  string: "a string",
};
const SHOWN_MAX = 60;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, SHOWN_MAX));
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

function isOf({ type }: JsonSchema, value: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return isObject(value);
  return type === "array" ? Array.isArray(value) : typeof value === type;
}

/** What is none of some words. */
function unknown(value: unknown, words: readonly unknown[]): string {
  if (value === undefined) return `is missing: one of ${words.join(", ")}`;
  const near = typeof value === "string" ? didYouMean(value, words.map(String)) : "";
  return `${shown(value)} is unknown${near || `: there are ${words.join(", ")}`}`;
}

function sentence({ keyword, instancePath: path, ...error }: ErrorObject): Mismatch {
  const { params, schema, data } = error;
  switch (keyword) {
    case "additionalProperties": {
      const name = String(params.additionalProperty);
      const known = Object.keys((error.parentSchema as JsonSchema).properties ?? {});
      const near = didYouMean(name, known) || `: there are ${known.join(", ")}`;
      return { path: `${path}/${escapePointer(name)}`, message: `is no field here${near}` };
    }
    case "required":
      return { path: `${path}/${params.missingProperty}`, message: "is missing" };
    case "type":
      return { path, message: `must be ${KINDS[schema as string]}, not ${shown(data)}` };
    case "enum":
      return { path, message: unknown(data, schema as unknown[]) };
    case "pattern":
      return { path, message: `${shown(data)} does not match ${schema}` };
    default: {
      const given = typeof data === "number" ? `, not ${data}` : "";
      return { path, message: `${error.message}${given}` };
    }
  }
}

/** That no branch fits; that more than one does is told as it is. */
const isUnion = ({ keyword, params }: ErrorObject) =>
  (keyword === "oneOf" || keyword === "anyOf") && !params.passingSchemas;

/** Where what is told of each branch of a union ends: one mismatch each, before the union's own. */
function endsOf(errors: readonly ErrorObject[], at: number): number[] {
  const ends: number[] = [];
  let end = at - 1;
  for (const _ of (errors[at] as ErrorObject).schema as JsonSchema[]) {
    ends.unshift(end);
    end = startOf(errors, end) - 1;
  }
  return ends;
}

function startOf(errors: readonly ErrorObject[], end: number): number {
  if (!isUnion(errors[end] as ErrorObject)) return end;
  const [first = end] = endsOf(errors, end);
  return startOf(errors, first);
}

const named = ({ $ref, ...schema }: JsonSchema): JsonSchema =>
  $ref === undefined
    ? schema
    : (document.components.schemas[$ref.split("/").at(-1) ?? ""] as JsonSchema);

/** The property whose constant tells the branches apart, if there is one. */
function tagOf(branches: readonly JsonSchema[]): string | undefined {
  const isTag = (name: string) =>
    branches.every(({ properties }) => properties?.[name]?.const !== undefined);
  return Object.keys(branches[0]?.properties ?? {}).find(isTag);
}

/** The branch that was meant, or what is wrong with the choice itself. */
function choice(branches: readonly JsonSchema[], data: unknown): number | string {
  const fitting = [...branches.keys()].filter((i) => isOf(branches[i] as JsonSchema, data));
  if (fitting.length === 0) {
    const kinds = new Set(branches.map(({ type }) => KINDS[type ?? ""]));
    return `must be ${[...kinds].join(" or ")}, not ${shown(data)}`;
  }
  if (fitting.length === 1 || !isObject(data)) return fitting[0] as number;
  const meant = branches.findIndex(({ required = [] }) => required.some((name) => name in data));
  if (meant >= 0) return meant;
  return `one of ${branches.flatMap(({ required = [] }) => required).join(", ")} is missing`;
}

/** The mismatch that ends at an index. */
function explained(errors: readonly ErrorObject[], at: number): Mismatch {
  const error = errors[at] as ErrorObject;
  if (!isUnion(error)) return sentence(error);
  const { instancePath: path, data } = error;
  const branches = (error.schema as JsonSchema[]).map(named);
  const ends = endsOf(errors, at);
  const tag = tagOf(branches);
  if (tag !== undefined && isObject(data)) {
    const tags = branches.map(({ properties }) => properties?.[tag]?.const);
    const meant = tags.indexOf(data[tag]);
    if (meant >= 0) return explained(errors, ends[meant] as number);
    return { path: `${path}/${tag}`, message: unknown(data[tag], tags) };
  }
  const meant = choice(branches, data);
  if (typeof meant === "string") return { path, message: meant };
  return explained(errors, ends[meant] as number);
}

function bodyMismatch(schemas: Schemas, { method, body, openapi }: Matched): Mismatch | undefined {
  const path = openapi?.openApiRoute ?? "";
  const valid = schemas.body({ method: method.toLowerCase() as Route["method"], path });
  valid?.(body);
  if (!valid?.errors) return undefined;
  const mismatch = explained(valid.errors, valid.errors.length - 1);
  return { path: `/body${mismatch.path}`, message: mismatch.message };
}

function parameterMismatch({ path, message }: Mismatch, { openapi }: Matched): Mismatch {
  if (/^must have required/.test(message)) return { path, message: "is missing" };
  if (/^Empty value/.test(message)) return { path, message: "is empty" };
  if (!/^Unknown query parameter/.test(message)) return { path, message };
  const parameters = (openapi?.schema.parameters ?? []).map(resolve);
  const known = parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
  const near = didYouMean(path.replace("/query/", ""), known);
  const told = near || (known.length > 0 ? `: there are ${known.join(", ")}` : "");
  return { path, message: `is no parameter here${told}` };
}

const isOfBody = ({ path }: Mismatch) => /^\/body(\/|$)/.test(path);

export function createValidationMessages(schemas: Schemas): ErrorRequestHandler {
  return (error: ValidatorError, req: Matched, _res, next) => {
    const { status, errors } = error;
    if (status === 400 && errors) {
      const rest = errors.filter((mismatch) => !isOfBody(mismatch));
      const body = rest.length < errors.length ? bodyMismatch(schemas, req) : undefined;
      error.errors = [
        ...rest.map((mismatch) => parameterMismatch(mismatch, req)),
        ...(body ? [body] : errors.filter(isOfBody)),
      ];
    }
    next(error);
  };
}
