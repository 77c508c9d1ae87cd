import type { ErrorObject } from "ajv";
import type { ErrorRequestHandler, Request } from "express";
import { didYouMean } from "../../domain/did_you_mean.ts";
import { escapePointer } from "./json_pointer.ts";
import {
  dereference,
  type JsonSchema,
  type Operation,
  propertiesOf,
  type Route,
  resolve,
} from "./openapi.ts";
import type { Schemas } from "./schemas.ts";

/**
 * Turns a mismatch with the document into one sentence: what is wrong, the value given, what is allowed.
 * The validator reports every branch of a union and not the value, so a body that it rejects is
 * validated once more by Ajv in verbose mode.
 */

/** The pointer to a field, and what is wrong with it; the form of the validator's own. */
interface Mismatch {
  path: string;
  message: string;
}

interface ValidatorError {
  status?: number;
  errors?: Mismatch[];
}

interface MatchedRequest extends Request {
  openapi?: { openApiRoute: string; schema: Operation };
}

const KINDS: Readonly<Record<string, string>> = {
  array: "an array",
  boolean: "true or false",
  integer: "an integer",
  number: "a number",
  object: "an object",
  string: "a string",
};
const MAX_QUOTED = 60;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function quote(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, MAX_QUOTED));
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

function isOf({ type }: JsonSchema, value: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return isObject(value);
  return type === "array" ? Array.isArray(value) : typeof value === type;
}

/** A value that is not one of some words. */
function unknownWord(value: unknown, words: readonly unknown[]): string {
  const allowed = `must be one of ${words.join(", ")}`;
  if (value === undefined) return `is missing; ${allowed}`;
  const hint = typeof value === "string" ? didYouMean(value, words.map(String)) : "";
  return hint === "" ? `${allowed}, got ${quote(value)}` : `${quote(value)} is not allowed${hint}`;
}

function unknownField(name: string, known: readonly string[]): string {
  return `unknown field${didYouMean(name, known) || `; allowed: ${known.join(", ")}`}`;
}

function sentence({ keyword, instancePath: path, ...error }: ErrorObject): Mismatch {
  const { params, schema, data } = error;
  switch (keyword) {
    case "additionalProperties":
    case "unevaluatedProperties": {
      const name = String(params.additionalProperty ?? params.unevaluatedProperty);
      const known = propertiesOf((error.parentSchema ?? {}) as JsonSchema);
      return { path: `${path}/${escapePointer(name)}`, message: unknownField(name, known) };
    }
    case "required":
      return { path: `${path}/${params.missingProperty}`, message: "is missing" };
    case "type":
      return { path, message: `must be ${KINDS[schema as string]}, got ${quote(data)}` };
    case "enum":
      return { path, message: unknownWord(data, schema as unknown[]) };
    case "pattern":
      return { path, message: `must match ${schema}, got ${quote(data)}` };
    default: {
      const given = typeof data === "number" ? `, got ${data}` : "";
      return { path, message: `${error.message}${given}` };
    }
  }
}

/** True if no branch matches; that two branches match is not the caller's mistake. */
const isUnion = ({ keyword, params }: ErrorObject) =>
  (keyword === "oneOf" || keyword === "anyOf") && !params.passingSchemas;

/** The index of the last error of each branch of a union; the union's own error is at `at`. */
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

/** The one value that a branch allows for a property. */
function constantOf({ properties }: JsonSchema, name: string): unknown {
  const allowed = properties?.[name]?.enum ?? [];
  return allowed.length === 1 ? allowed[0] : undefined;
}

/** The property whose constant tells the branches apart, if there is one. */
function tagOf(branches: readonly JsonSchema[]): string | undefined {
  const isTag = (name: string) =>
    branches.every((branch) => constantOf(branch, name) !== undefined);
  return Object.keys(branches[0]?.properties ?? {}).find(isTag);
}

/** The branch that the caller meant, or what is wrong with the choice itself. */
function choice(branches: readonly JsonSchema[], data: unknown): number | string {
  const fitting = [...branches.keys()].filter((i) => isOf(branches[i] as JsonSchema, data));
  if (fitting.length === 0) {
    const kinds = new Set(branches.map(({ type }) => KINDS[type ?? ""]));
    return `must be ${[...kinds].join(" or ")}, got ${quote(data)}`;
  }
  if (fitting.length === 1 || !isObject(data)) return fitting[0] as number;
  const meant = branches.findIndex(({ required = [] }) => required.some((name) => name in data));
  if (meant >= 0) return meant;
  return `must have one of ${branches.flatMap(({ required = [] }) => required).join(", ")}`;
}

/** The sentence for the error at an index and those that belong to it. */
function explain(errors: readonly ErrorObject[], at: number): Mismatch {
  const error = errors[at] as ErrorObject;
  if (!isUnion(error)) return sentence(error);
  const { instancePath: path, data } = error;
  const branches = (error.schema as JsonSchema[]).map(dereference);
  const ends = endsOf(errors, at);
  const tag = tagOf(branches);
  if (tag !== undefined && isObject(data)) {
    const tags = branches.map((branch) => constantOf(branch, tag));
    const meant = tags.indexOf(data[tag]);
    if (meant >= 0) return explain(errors, ends[meant] as number);
    return { path: `${path}/${tag}`, message: unknownWord(data[tag], tags) };
  }
  const meant = choice(branches, data);
  if (typeof meant === "string") return { path, message: meant };
  return explain(errors, ends[meant] as number);
}

/** What is wrong with the body of an operation, which is validated once more; undefined if it is valid. */
export function bodyMismatch(
  schemas: Schemas,
  route: Pick<Route, "method" | "path">,
  body: unknown,
): Mismatch | undefined {
  const valid = schemas.body(route);
  valid?.(body);
  if (!valid?.errors) return undefined;
  const mismatch = explain(valid.errors, valid.errors.length - 1);
  return { path: `/body${mismatch.path}`, message: mismatch.message };
}

function routeOf({ method, openapi }: MatchedRequest): Pick<Route, "method" | "path"> {
  return { method: method.toLowerCase() as Route["method"], path: openapi?.openApiRoute ?? "" };
}

function parameterMismatch({ path, message }: Mismatch, { openapi }: MatchedRequest): Mismatch {
  if (/^must have required/.test(message)) return { path, message: "is missing" };
  if (/^Empty value/.test(message)) return { path, message: "must not be empty" };
  if (!/^Unknown query parameter/.test(message)) return { path, message };
  const parameters = (openapi?.schema.parameters ?? []).map(resolve);
  const known = parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
  const allowed = known.length > 0 ? `; allowed: ${known.join(", ")}` : "; this operation has none";
  const hint = didYouMean(path.replace("/query/", ""), known) || allowed;
  return { path, message: `unknown parameter${hint}` };
}

const isOfBody = ({ path }: Mismatch) => /^\/body(\/|$)/.test(path);

export function createValidationMessages(schemas: Schemas): ErrorRequestHandler {
  return (error: ValidatorError, req: MatchedRequest, _res, next) => {
    const { status, errors } = error;
    if (status === 400 && errors) {
      const rest = errors.filter((mismatch) => !isOfBody(mismatch));
      const body =
        rest.length < errors.length ? bodyMismatch(schemas, routeOf(req), req.body) : undefined;
      error.errors = [
        ...rest.map((mismatch) => parameterMismatch(mismatch, req)),
        ...(body ? [body] : errors.filter(isOfBody)),
      ];
    }
    next(error);
  };
}
