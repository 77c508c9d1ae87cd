import { setTimeout } from "node:timers/promises";
import type { ValidateFunction } from "ajv/dist/2020.js";
import findMyWay, { type HTTPMethod } from "find-my-way";
import type { Handler } from "../handler.ts";
import { JSON_TYPE, OCTETS } from "../media_types.ts";
import { type Parameter, type Route, resolve, routerPath, typeOf } from "../openapi/openapi.ts";
import type { Schemas } from "../openapi/schemas.ts";

/** Tables, made at the start, of the operations whose plain requests the fast path takes. */

interface QueryParameter {
  type: string | undefined;
  /** Without it express-openapi-validator rejects reserved characters that are not encoded. */
  allowReserved: boolean;
}

interface Validators {
  parameters: ValidateFunction;
  body: ValidateFunction | undefined;
}

export interface PlainRoute {
  operationId: string;
  handler: Handler;
  /** The path's segments; a parameter's is undefined. */
  segments: readonly (string | undefined)[];
  params: readonly { name: string; type: string | undefined }[];
  query: ReadonlyMap<string, QueryParameter>;
  /** Header parameters in lower case; a request with one of them is not plain. */
  headers: readonly string[];
  needsSession: boolean;
  /** True if it needs an API key where the service has keys. */
  needsKey: boolean;
  bodyRequired: boolean;
  takesJson: boolean;
  takesOctets: boolean;
  /** The media type of its responses. */
  gives: string;
  /** Compiled by the first call. */
  validators: () => Validators;
}

/** The general path serves pages, texts and events. */
function isPlain(route: Route): boolean {
  return [JSON_TYPE, OCTETS].includes(typeOfResponses(route));
}

/** JSON if an operation returns nothing, because its failures are JSON. */
function typeOfResponses(route: Route): string {
  const types = successes(route).flatMap((content) => Object.keys(content ?? {}));
  return types[0] ?? JSON_TYPE;
}

/** The media types of each successful response. */
function successes({ operation }: Route) {
  const success = Object.entries(operation.responses).filter(([status]) => status < "300");
  return success.map(([, { content }]) => content);
}

function namesIn(parameters: readonly Parameter[], place: string): Parameter[] {
  return parameters.filter((parameter) => parameter.in === place);
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function plainRoute(route: Route, handler: Handler, schemas: Schemas): PlainRoute {
  const { operation } = route;
  const parameters = (operation.parameters ?? []).map(resolve);
  const inQuery = namesIn(parameters, "query").map((parameter): [string, QueryParameter] => [
    parameter.name,
    { type: typeOf(parameter), allowReserved: parameter.allowReserved ?? false },
  ]);
  return {
    operationId: operation.operationId,
    handler,
    segments: route.path.split("/").map((part) => (part.startsWith("{") ? undefined : part)),
    params: namesIn(parameters, "path").map((one) => ({ name: one.name, type: typeOf(one) })),
    query: new Map(inQuery),
    headers: namesIn(parameters, "header").map(({ name }) => name.toLowerCase()),
    needsSession: operation.security?.some((scheme) => "session" in scheme) ?? false,
    needsKey: operation.security?.some((scheme) => "apiKey" in scheme) ?? false,
    bodyRequired: operation.requestBody?.required ?? false,
    takesJson: JSON_TYPE in (operation.requestBody?.content ?? {}),
    takesOctets: OCTETS in (operation.requestBody?.content ?? {}),
    gives: typeOfResponses(route),
    validators: once(() => ({ parameters: schemas.parameters(route), body: schemas.body(route) })),
  };
}

export interface FoundRoute {
  route: PlainRoute;
  params: Record<string, string | undefined>;
}

export interface Router {
  /** Finds the route of a method and a path without its query. */
  find(method: string, path: string): FoundRoute | undefined;
  /** Compiles all validators one by one, with a pause for requests. @throws if Ajv rejects a schema */
  compile(): Promise<void>;
}

/** Longer keys take the general path. */
const PARAM_MAX = 2048;

const PAUSE_MS = 20;

/** Lets requests pass between two validators, so that those of the first seconds meet their deadlines. */
export const pause = () => setTimeout(PAUSE_MS, undefined, { ref: false });

export function createRouter(
  routes: readonly Route[],
  handlers: Readonly<Record<string, Handler>>,
  schemas: Schemas,
): Router {
  const router = findMyWay({ caseSensitive: true, maxParamLength: PARAM_MAX });
  const stores: PlainRoute[] = [];
  for (const route of routes.filter(isPlain)) {
    const handler = handlers[route.operation.operationId];
    if (!handler) continue;
    const method = route.method.toUpperCase() as HTTPMethod;
    const store = plainRoute(route, handler, schemas);
    stores.push(store);
    router.on(method, routerPath(route), () => {}, store);
  }
  return {
    find(method, path) {
      const found = router.find(method as HTTPMethod, path);
      return found ? { route: found.store as PlainRoute, params: found.params } : undefined;
    },
    async compile() {
      for (const { validators } of stores) {
        validators();
        await pause();
      }
    },
  };
}
