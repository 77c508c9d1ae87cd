import { expect } from "vitest";
import type { TestReply, TestSession } from "./service.ts";

/** Provides complete programs for tests that run them. */

/** An Ethernet frame of zeros. */
export const FRAME = "00".repeat(14);

export interface TestRun {
  retval: number;
  data_out: string;
  data_size_out: number;
  ctx_out?: string | Record<string, unknown>;
  seed: { time_ns: string; random: number; cpu: number };
  trace: string[];
  programs: number[];
}

async function made(answer: Promise<TestReply>): Promise<{ fd: number; id: number }> {
  const { status, body } = await answer;
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

export const asm = (session: TestSession, text: string, more: object = {}) =>
  made(session.post("/v1/progs", { asm: text, ...more }));

export const map = (
  session: TestSession,
  map_type: string,
  max_entries: number,
  more: object = {},
) => made(session.post("/v1/maps", { map_type, key_size: 4, value_size: 8, max_entries, ...more }));

export async function run(session: TestSession, fd: number, more: object = {}): Promise<TestRun> {
  const answer = await session.post(`/v1/fds/${fd}/test-run`, { data_in: FRAME, ...more });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
}

export const refused = async (session: TestSession, fd: number, more: object = {}) =>
  (await session.post(`/v1/fds/${fd}/test-run`, { data_in: FRAME, ...more })).body;

export async function u64(session: TestSession, fd: number, key: string): Promise<number> {
  const { body } = await session.get(`/v1/fds/${fd}/elements/${key}`);
  return Number(Buffer.from(body.value, "hex").readBigUInt64LE());
}

/** Leaves the value of key `n` in r0, or returns 0 if the key does not exist. */
export const lookup = (fd: number, n: number) => `
  *(u32 *)(r10 -4) = ${n}
  r1 = map[fd:${fd}]
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto out`;

export const OUT = `
out:
  r0 = 0
  exit`;

/** Adds 1 with a load and a store, so concurrent runs could lose an update. */
export const increment = (fd: number, n: number) => `${lookup(fd, n)}
  r1 = *(u64 *)(r0 +0)
  r1 += 1
  *(u64 *)(r0 +0) = r1${OUT}`;

/** Adds 1 with an atomic instruction. */
export const add = (fd: number, n: number) => `${lookup(fd, n)}
  r1 = 1
  lock *(u64 *)(r0 +0) += r1${OUT}`;

export const returns = (n: number) => `r0 = ${n}\nexit`;

/** Tail-calls a slot and returns 99 if it is empty. */
export const tailCall = (fd: number, slot: number) => `
  r2 = map[fd:${fd}]
  r3 = ${slot}
  call tail_call
  r0 = 99
  exit`;
