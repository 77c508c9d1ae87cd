import type { Operation, Route } from "../../../api/openapi/openapi.ts";
import { pointerOf } from "../../../api/openapi/schemas.ts";
import { schemaAt } from "../raw.ts";
import { follow } from "./examples.ts";
import type { ContractAnswer } from "./exchange.ts";

/** Judges an answer by the document alone: its status, its media type and its schema. */

type Check = ReturnType<typeof schemaAt>;
type Documented = Operation["responses"][string];

const checks = new Map<string, Check>();
const escaped = (name: string) => name.replaceAll("~", "~0").replaceAll("/", "~1");

function checkOf(route: Route, response: Documented, status: string, type: string): Check {
  const at = response.$ref?.slice(1) ?? `${pointerOf(route)}/responses/${status}`;
  const pointer = `${at}/content/${encodeURIComponent(escaped(type))}/schema`;
  const known = checks.get(pointer) ?? schemaAt(pointer);
  checks.set(pointer, known);
  return known;
}

function parseBody(type: string, body: Buffer): unknown {
  return type.endsWith("json") ? JSON.parse(body.toString()) : body.toString();
}

/** @returns what is wrong with the answer, or undefined */
export function faultOf(route: Route, answer: ContractAnswer): string | undefined {
  const { status, mediaType, body } = answer;
  if (status >= 500 && status !== 507) return `the status is ${status}: ${body}`;
  const response = route.operation.responses[status];
  if (!response) return `the status ${status} is undocumented: ${body}`;
  const { content = {} } = follow(response);
  if (Object.keys(content).length === 0) {
    return body.length > 0 ? `${status} has a body: ${body}` : undefined;
  }
  if (mediaType === undefined || !(mediaType in content))
    return `${status} has the undocumented type ${mediaType}`;
  if (mediaType === "text/event-stream" || mediaType === "application/octet-stream")
    return undefined;
  const check = checkOf(route, response, String(status), mediaType);
  if (check(parseBody(mediaType, body))) return undefined;
  return `${status} does not fit its schema: ${JSON.stringify(check.errors)}: ${body}`;
}
