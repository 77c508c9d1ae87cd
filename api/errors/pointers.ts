import type { IncomingMessage } from "node:http";
import type { FieldPath } from "../../domain/errno.ts";
import { OCTETS } from "../media_types.ts";
import { escapePointer } from "../openapi/json_pointer.ts";
import { bodyProperties, type Operation, resolve, routes } from "../openapi/openapi.ts";

/** The domain names the argument that is wrong; this finds it in the request and makes the JSON pointer. */

/** A request whose operation is known. */
export interface LocatedRequest extends Pick<IncomingMessage, "method" | "headers"> {
  operationId?: string;
}

interface Places {
  /** Names of the properties of a JSON body. */
  body: ReadonlySet<string>;
  /** The part of the request that has the parameter. */
  parameters: ReadonlyMap<string, string>;
}

/** Path parameters are "params" in pointers, as in the validator's own. */
const PARTS: Readonly<Record<string, string>> = {
  path: "params",
  query: "query",
  header: "headers",
};

function placesOf(operation: Operation): Places {
  const parameters = (operation.parameters ?? []).map(resolve);
  return {
    body: bodyProperties(operation),
    parameters: new Map(parameters.map((one) => [one.name, PARTS[one.in] ?? one.in])),
  };
}

const places = new Map(
  routes.map(({ operation }) => [operation.operationId, placesOf(operation)] as const),
);

/** A field is a property of the JSON body if the body can have it, else a parameter of that name. */
export function fieldPointer(field: FieldPath, request: LocatedRequest): string {
  const [name = "", ...rest] = typeof field === "string" ? [field] : field;
  const { body, parameters } = places.get(request.operationId ?? "") ?? {};
  const isJson = request.headers["content-type"] !== OCTETS;
  const inBody = isJson && request.method !== "GET" && body?.has(String(name));
  const part = (inBody ? undefined : parameters?.get(String(name))) ?? "body";
  return ["", part, name, ...rest].map(escapePointer).join("/");
}
