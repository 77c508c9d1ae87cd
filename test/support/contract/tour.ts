import { type Route, routes } from "../../../api/openapi/openapi.ts";
import { buildElf, CODE } from "../elf_builder.ts";
import { RETURN_ZERO_HEX } from "../insns.ts";
import {
  type ContractRequest,
  exampleBody,
  exampleRequest,
  JSON_MEDIA,
  OCTET_MEDIA,
} from "./examples.ts";
import type { ContractAnswer } from "./exchange.ts";

/**
 * A tour of all operations, whose requests are the examples of the document. In a new namespace each one
 * finds what it names: fd 3 is a hash, 4 a program, 5 a queue, 6 a ring buffer, and /counters is a pin.
 */

export interface TourStep {
  operationId: string;
  /** Name of the example to use; the default is the first. */
  example?: string;
}

const step = (text: string): TourStep => {
  const [operationId = "", example] = text.split(" ");
  return example === undefined ? { operationId } : { operationId, example };
};

/** What makes the objects that the examples name. */
export const TOUR_START = [
  ...["sessionCreate", "mapCreate hash", "progLoad hex", "mapCreate queue", "mapCreate ringbuf"],
  ...["fsCreate pin", "elfLoad", "sessionFork", "fdSend", "fdReceive"],
  ...["mapUpdate", "mapLookup", "mapBatch update", "mapPush", "mapPeek", "mapPop", "ringWrite"],
].map(step);

/** What takes away: elements, the pin, rights, fds, sessions and the namespace. */
export const TOUR_END = [
  ...["mapDelete", "mapUpdate", "mapLookupAndDelete", "mapFreeze"],
  ...["fsRename", "fsCreate pin", "fsRemove", "sessionUpdate", "fdClose"],
  ...["sessionKill", "sessionExit", "namespaceDelete"],
].map(step);

function inBetween(): TourStep[] {
  const placed = new Set([...TOUR_START, ...TOUR_END].map(({ operationId }) => operationId));
  const ids = routes.map(({ operation }) => operation.operationId);
  return ids.filter((operationId) => !placed.has(operationId)).map((id) => step(id));
}

export const TOUR: readonly TourStep[] = [...TOUR_START, ...inBetween(), ...TOUR_END];

/** Bodies of octets, which have no examples; a person chooses a file. */
export const FILES: Readonly<Record<string, Buffer>> = {
  mapUpdateBytes: Buffer.from("2a00000000000000", "hex"),
  mapBatchWriteBytes: Buffer.concat([
    Buffer.from("0100000002000000", "hex"),
    Buffer.from("0a000000000000001400000000000000", "hex"),
  ]),
  ringWriteBytes: Buffer.from("a record"),
  elfLoadBytes: buildElf(
    [
      { name: "xdp", flags: CODE, data: Buffer.from(RETURN_ZERO_HEX, "hex") },
      { name: "license", data: Buffer.from("GPL\0") },
    ],
    [{ name: "ingress", section: 1, size: RETURN_ZERO_HEX.length / 2 }],
  ),
};

const routesById = new Map(routes.map((route) => [route.operation.operationId, route] as const));

export function routeOf(operationId: string): Route {
  const route = routesById.get(operationId);
  if (!route) throw new Error(`openapi.yaml has no operation ${operationId}`);
  return route;
}

/** The request of a step; `namespace` is where sessionCreate starts the session, and what is shown and deleted. */
export function tourRequest(
  { operationId, example }: TourStep,
  namespace: string,
  token: string,
): ContractRequest {
  const route = routeOf(operationId);
  const sent = exampleRequest(route, { namespace });
  if (route.operation.security?.some((scheme) => "session" in scheme))
    sent.headers.authorization = `Bearer ${token}`;
  const file = FILES[operationId];
  const json = exampleBody(route.operation, example);
  if (file) return withBody(sent, OCTET_MEDIA, file);
  if (json === undefined) return sent;
  const body = operationId === "sessionCreate" ? { namespace, ...json } : json;
  return withBody(sent, JSON_MEDIA, Buffer.from(JSON.stringify(body)));
}

function withBody(sent: ContractRequest, type: string, body: Buffer): ContractRequest {
  return { ...sent, headers: { ...sent.headers, "content-type": type }, body };
}

export type TourVisit = (step: TourStep, request: ContractRequest) => Promise<ContractAnswer>;

/** Visits operations one after another. @returns the token, which comes from sessionCreate */
export async function takeTour(
  namespace: string,
  visit: TourVisit,
  steps: readonly TourStep[] = TOUR,
): Promise<string> {
  let token = "";
  for (const next of steps) {
    const answer = await visit(next, tourRequest(next, namespace, token));
    if (next.operationId !== "sessionCreate") continue;
    token = (JSON.parse(answer.body.toString()) as { token: string }).token;
  }
  return token;
}
