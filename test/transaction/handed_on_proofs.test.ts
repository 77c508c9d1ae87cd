import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { decode } from "../../domain/isa/insn.ts";
import { Pool } from "../../domain/runtime/pool/pool.ts";
import { provenAccesses } from "../../domain/runtime/proven_accesses.ts";
import type { MapFacts } from "../../domain/verifier/verifier.ts";
import { asm, lookup, map, OUT } from "../support/run_programs.ts";
import { testService } from "../support/service.ts";
import { check, verify } from "../support/verify_bytes.ts";

/** What a load proved is handed on to the threads that compile the program, where it holds for all of its code. */

const service = await testService();
afterEach(() => vi.restoreAllMocks());

/** The unit that a load hands to the pool. */
async function unitOf(
  source: (session: Awaited<ReturnType<typeof service.session>>) => Promise<string>,
) {
  const prepare = vi.spyOn(Pool.prototype, "prepare");
  const session = await service.session(service.namespace());
  await asm(session, await source(session));
  const unit = prepare.mock.calls.at(-1)?.[0].unit;
  if (unit === undefined) throw new Error("nothing was handed on");
  return unit;
}

it("a load hands on the proof that verifying the program again would find", async () => {
  const { provenAccesses: proof, ...unit } = await unitOf(async (session) => {
    const { fd } = await map(session, "array", 4);
    return `${lookup(fd, 1)}\n r1 = *(u64 *)(r0 +0) ${OUT}`;
  });
  expect(proof).toEqual(provenAccesses(unit, decode(unit.insns)));
  expect(proof?.some((one) => one === 1)).toBe(true);
});

it("a load hands on no proof for a map of maps, whose inner maps the code's key leaves out", async () => {
  const unit = await unitOf(async (session) => {
    const inner = await map(session, "array", 4);
    const outer = await session.post("/v1/maps", {
      ...{ map_type: "array_of_maps", key_size: 4, value_size: 4, max_entries: 1 },
      inner_map_fd: inner.fd,
    });
    return `${lookup(outer.body.fd, 0)} ${OUT}`;
  });
  expect(unit.provenAccesses).toBeUndefined();
});

interface AcceptedProgram {
  prog_type: string;
  attach: number;
  insns: string;
  maps?: MapFacts[];
  func_info?: true;
  errno: string | null;
}

it("a proof rests on nothing but instructions, maps' shapes, program type and func_info", () => {
  const limits = { complexity: 20_000 };
  const programs = readFileSync(join(import.meta.dirname, "../verifier/programs.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as AcceptedProgram)
    .filter(({ errno, maps = [] }) => errno === null && !maps.some(({ inner }) => inner));
  let compared = 0;
  for (const { prog_type, attach, insns: hex, maps = [], func_info = false } of programs) {
    const insns = Buffer.from(hex, "hex");
    const code = { progType: prog_type, funcInfo: func_info, limits };
    const { refs } = check(insns, code);
    const facts = refs.map(({ value }) => maps[value] as MapFacts);
    const frozen = maps.map((one, id) => ({ ...one, frozen: true, id }));
    const loaded = refs.map(({ value }) => frozen[value] as MapFacts);
    const again = verify(insns, facts, { ...code, gplCompatible: true });
    for (const perfmon of [true, false]) {
      const options = { ...code, expectedAttachType: attach, perfmon, gplCompatible: perfmon };
      const load = verify(insns, loaded, options);
      if (load.refusal !== null || again.refusal !== null) continue;
      expect(load.provenAccesses).toEqual(again.provenAccesses);
      compared += 1;
    }
  }
  expect(compared).toBeGreaterThan(100);
});
