import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { Ajv2020 } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";
import { expect } from "vitest";
import { document, type Operation, type Route, resolve } from "../../api/openapi/openapi.ts";
import type { Kernel } from "../../domain/bpf.ts";

/**
 * Sends requests that ordinary clients cannot send, and checks the form of every error response.
 */

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

/** Sends the path unchanged, without normalization. */
export function raw(
  base: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Buffer | string,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(base);
  const hasLength = body === undefined || headers["transfer-encoding"] !== undefined;
  const length = hasLength ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const sent = { ...length, ...headers };
  return new Promise((resolve, reject) => {
    const req = request({ agent, hostname, port, method, path, headers: sent }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    req.on("error", reject);
    req.end(body);
  });
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema(document, "openapi.yaml");

/** Compiles a check against a part of openapi.yaml, given by its JSON pointer. */
export function schemaAt(pointer: string) {
  return ajv.compile({ $ref: `openapi.yaml#${pointer}` });
}

const isProblem = schemaAt("/components/schemas/Problem");

export interface RawProblem {
  type: string;
  status: number;
  detail: string;
  errno?: string;
  reason?: string;
  request_id: string;
  errors?: { pointer: string; detail: string }[];
}

/** RFC 9457: "The 'status' member, if present, is only advisory; [it] conveys the HTTP status code". */
export function expectProblem(answer: RawAnswer, about: string): RawProblem {
  expect(answer.headers["content-type"], about).toBe("application/problem+json");
  const problem = JSON.parse(answer.text) as RawProblem;
  expect(isProblem(problem), `${about} ${answer.text} ${ajv.errorsText(isProblem.errors)}`).toBe(
    true,
  );
  expect(problem.status, about).toBe(answer.status);
  expect(problem.request_id, about).toBe(answer.headers["x-request-id"]);
  // The text must reveal no internals: no stack, no file, no Redis key.
  expect(answer.text, about).not.toMatch(/node_modules|\.(ts|js|lua):\d|bpf:\{|\bat .+:\d+:\d+/);
  return problem;
}

/**
 * Dumps everything in the namespace as text, except counters, records that expire, and renewal
 * times.
 */
const DUMP = `
local all = {}
for _, key in ipairs(redis.call("KEYS", KEYS[1] .. "*")) do
  local noun = key:sub(#KEYS[1] + 1):match("^%w+")
  local kind = redis.call("TYPE", key).ok
  local text
  if noun == "session" then
    text = table.concat(redis.call("HMGET", key, "label", "cred", "created"), "|")
  elseif noun == "deadlines" then
    local sids = redis.call("ZRANGE", key, 0, -1)
    table.sort(sids)
    text = table.concat(sids, "|")
  elseif noun ~= "meta" and noun ~= "idem" and noun ~= "ended" then
    text = redis.call("DUMP", key)
  end
  if text then all[#all + 1] = key .. " " .. redis.sha1hex(text) end
end
table.sort(all)
return table.concat(all, "\\n")`;

export async function dump(kernel: Kernel, namespace: string): Promise<string> {
  return String(await kernel.script.redis.eval(DUMP, 1, `bpf:{${namespace}}:`));
}

/** The media type of the operation's body. */
export const typeOfBody = ({ operation }: { operation: Operation }) =>
  Object.keys(operation.requestBody?.content ?? {})[0] ?? "application/json";

/** Returns the first example of the document, which is a valid request. Octets have none. */
export function example({ operation }: { operation: Operation }): string | undefined {
  const { requestBody } = operation;
  const media = requestBody?.content["application/json"] as
    | { example?: unknown; examples?: Record<string, { value: unknown }> }
    | undefined;
  if (requestBody && !media) return "abcd";
  if (!media) return undefined;
  return JSON.stringify(media.example ?? Object.values(media.examples ?? {})[0]?.value);
}

/** Fills in the path with fd 3, id 1 and key u32:1, and the parameters that the query requires. */
export const pathOf = ({ path, operation }: Route) => {
  const required = (operation.parameters ?? [])
    .map(resolve)
    .filter((parameter) => parameter.in === "query" && parameter.required)
    .map(({ name, ...rest }) =>
      name === "path" ? "path=/x" : `${name}=${(rest as { example?: unknown }).example}`,
    );
  const query = required.length > 0 ? `?${required.join("&")}` : "";
  return path.replace("{fd}", "3").replace("{key}", "u32:1").replace("{id}", "1") + query;
};
