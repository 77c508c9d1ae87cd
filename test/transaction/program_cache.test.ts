import { expect, it } from "vitest";
import { RUN_MAP, RUN_PROG } from "../../domain/redis/records.ts";
import type { RedisValue } from "../../domain/redis/redis_value.ts";
import { ProgramCache } from "../../domain/transaction/program_cache.ts";
import { ProofCache } from "../../domain/transaction/proof_cache.ts";
import { RETURN_ZERO } from "../support/insns.ts";

/** What the programs take that a process has read. */

const field = (name: string, maps: RedisValue[]): RedisValue => {
  if (name === "maps") return maps;
  return Buffer.from(name === "prog_type" || name === "type" ? "xdp" : "1");
};

/** The reply that tells of a program: its fields, then its instructions. */
function rowOf(insns: Buffer, mapCount: number): RedisValue[] {
  const map = RUN_MAP.map((name) => field(name, []));
  const maps = Array.from({ length: mapCount }, () => map);
  return [...RUN_PROG.map((name) => field(name, maps)), insns];
}

it("a cached program keeps its instructions, not the reply that it came in", () => {
  const reply = Buffer.alloc(65_536, RETURN_ZERO);
  const row = rowOf(reply.subarray(0, RETURN_ZERO.length), 0);
  const { insns } = new ProgramCache(new ProofCache()).add("n", 1, row).view.unit;
  expect(insns).toEqual(new Uint8Array(RETURN_ZERO));
  expect(insns.buffer.byteLength).toBe(RETURN_ZERO.length);
});

it("programs with many maps leave the cache sooner", () => {
  const kept = (mapCount: number) => {
    const cache = new ProgramCache(new ProofCache());
    const insns = Buffer.alloc(1 << 20);
    for (let id = 0; id < 80; id++) cache.add("n", id, rowOf(insns, mapCount));
    return Array.from({ length: 80 }, (_, id) => cache.get("n", id)).filter(Boolean).length;
  };
  expect(kept(0)).toBe(63);
  expect(kept(1000)).toBe(51);
});
