import { expect } from "vitest";
import { u32Hex } from "./bytes.ts";
import { outcome } from "./map_fixture.ts";
import type { TestReply, TestService, TestSession } from "./service.ts";

/** Creates a map and runs batches on it. */

export interface BatchMap {
  session: TestSession;
  id: number;
  path: string;
}

/** @param more overrides the default attributes: 4-byte keys and values, and 10,000 entries */
export async function make(
  service: TestService,
  map_type: string,
  more: object = {},
): Promise<BatchMap> {
  const session = await service.session(service.namespace());
  const sizes = { key_size: 4, value_size: 4, max_entries: 10_000 };
  const { status, body } = await session.post("/v1/maps", { map_type, ...sizes, ...more });
  expect(status, JSON.stringify(body)).toBe(201);
  return { session, id: body.id, path: `/v1/fds/${body.fd}` };
}

export const batch = (
  { session, path }: BatchMap,
  body: object,
  headers?: Record<string, string>,
) => session.post(`${path}/batch`, body, headers);

export const info = async ({ session, path }: BatchMap) => (await session.get(path)).body;

export const numbers = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => from + i);

export const keysOf = (count: number, from = 0) => numbers(count, from).map(u32Hex);

export const outcomeAndCount = (answer: TestReply) => [outcome(answer), answer.body.count];
