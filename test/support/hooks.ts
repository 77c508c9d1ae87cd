import type { IncomingMessage } from "node:http";
import { isDeepStrictEqual } from "node:util";
import type { Hooks } from "../../api/fast_path/fast_path.ts";
import type { HandlerRequest, HandlerResponse } from "../../api/handler.ts";
import { type Operation, routes } from "../../api/openapi/openapi.ts";
import { pointerOf } from "../../api/openapi/schemas.ts";
import { schemaAt } from "./raw.ts";

/** Hooks into a service to check every response and to compare both readings of each request. */

type Media = { content?: Record<string, unknown> };
const validators = new Map<string, ReturnType<typeof schemaAt>>();
const operations = new Map(routes.map((route) => [route.operation.operationId, route] as const));

function validatorOf(operationId: string, status: number) {
  const name = `${operationId} ${status}`;
  const known = validators.get(name);
  if (known) return known;
  const route = operations.get(operationId);
  if (!route) throw new Error(`openapi.yaml has no ${operationId}`);
  const responses = `${pointerOf(route)}/responses`;
  const validator = schemaAt(`${responses}/${status}/content/application~1json/schema`);
  validators.set(name, validator);
  return validator;
}

const responseOf = (responses: Operation["responses"], status: number): Media | undefined =>
  responses[status];

/** @throws if the document has no such response, or its schema rejects the body. */
export function checkResponse(operationId: string, { status, body }: HandlerResponse): void {
  const responses = operations.get(operationId)?.operation.responses ?? {};
  const documented = responseOf(responses, status);
  if (!documented) throw new Error(`${operationId}: ${status} is not in openapi.yaml`);
  if (body === undefined) return;
  const validate = validatorOf(operationId, status);
  // The body is serialized first, because JSON omits undefined fields.
  if (validate(JSON.parse(JSON.stringify(body)))) return;
  throw new Error(`${operationId} ${status}: ${JSON.stringify(validate.errors)}`);
}

/**
 * Selects what a handler reads of a request; objects without a prototype count as equal to others.
 */
function visible({ call, params, query, body, headers }: HandlerRequest) {
  return { call, params: { ...params }, query: { ...query }, body, headers: { ...headers } };
}

const describe = (value: unknown) => JSON.stringify(value)?.slice(0, 500);

/** Compares both readings of each request; `onDifference` gets each difference, which is a bug. */
export function comparingHooks(onDifference: (error: Error) => void): Hooks {
  const taken = new WeakMap<IncomingMessage, HandlerRequest>();
  const differ = (req: IncomingMessage, why: string) =>
    onDifference(new Error(`${req.method} ${req.url?.slice(0, 200)}: ${why}`));
  return {
    onFastRequest(req, request) {
      if (request) taken.set(req, request);
    },
    onGeneralRequest(req, request) {
      const fast = taken.get(req);
      taken.delete(req);
      if (!fast || isDeepStrictEqual(visible(fast), visible(request))) return;
      differ(req, `fast ${describe(visible(fast))}, general ${describe(visible(request))}`);
    },
    onGeneralError(req, error) {
      if (taken.delete(req))
        differ(req, `the fast path takes it, the general one refuses: ${error}`);
    },
  };
}
