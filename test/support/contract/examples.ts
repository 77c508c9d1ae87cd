import {
  document,
  type Operation,
  type Parameter,
  type Route,
} from "../../../api/openapi/openapi.ts";

/** Makes the requests that the examples of the document describe. */

export interface ContractRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: Buffer | undefined;
}

export interface DocumentedParameter extends Parameter {
  example?: unknown;
}

interface Media {
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

export const JSON_MEDIA = "application/json";
export const OCTET_MEDIA = "application/octet-stream";

/** The object that a reference names, with what stands beside the reference. */
export function follow<T extends object>(given: T): T {
  const { $ref, ...beside } = given as { $ref?: string };
  if ($ref === undefined) return given;
  const [, , group = "", name = ""] = $ref.split("/");
  const components = document.components as unknown as Record<string, Record<string, T>>;
  return { ...follow(components[group]?.[name] as T), ...beside };
}

export const parametersOf = ({ parameters = [] }: Operation): DocumentedParameter[] =>
  parameters.map((parameter) => follow(parameter as DocumentedParameter));

/** The example of the body with this name, or the first one. */
export function exampleBody({ requestBody }: Operation, name?: string): unknown {
  const { example, examples = {} } = (requestBody?.content[JSON_MEDIA] ?? {}) as Media;
  if (name !== undefined) return examples[name]?.value;
  return example ?? Object.values(examples)[0]?.value;
}

/**
 * A request whose path, query and headers are the examples of the required parameters.
 *
 * @param others takes the place of examples, by the name of the parameter
 */
export function exampleRequest(
  { method, path, operation }: Route,
  others: Readonly<Record<string, string>> = {},
): ContractRequest {
  const required = parametersOf(operation).filter(({ required }) => required);
  const texts = (place: string) =>
    required
      .filter((parameter) => parameter.in === place)
      .map(({ name, example }) => [name, others[name] ?? String(example)] as const);
  const filled = texts("path").reduce(
    (text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)),
    path,
  );
  const query = texts("query").map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const search = query.length > 0 ? `?${query.join("&")}` : "";
  return {
    method: method.toUpperCase(),
    path: filled + search,
    headers: Object.fromEntries(texts("header")),
  };
}
