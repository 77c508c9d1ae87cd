import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileSchema } from "../../domain/schema/schema.ts";
import type { MapFacts, Refusal } from "../../domain/verifier/verifier.ts";
import { check, verify } from "../support/verify_bytes.ts";

/**
 * The verdicts of Linux 6.18 on programs, with errno and log. The service accepts the programs that Linux
 * accepts, and rejects the others in the same words.
 */

interface RecordedVerdict {
  name: string;
  prog_type: number;
  license: string;
  /** Type, key size, value size, entries and flags of the only map. */
  maps: string | null;
  /** C text of its values; then its name is "locks". */
  value?: string;
  prog: string;
  env?: object;
  kernel: { errno: number; errname: string; last: string; log: string };
}

const verdicts = ["verifier-verdicts.json", "verifier-locks.json"].flatMap(
  (file) =>
    JSON.parse(
      readFileSync(join(import.meta.dirname, "traces", file), "utf8"),
    ) as RecordedVerdict[],
);

const TYPES: Record<number, string> = { 3: "sched_cls", 6: "xdp", 8: "cgroup_skb" };
const MAP_TYPES: Record<number, string> = { 1: "hash", 2: "array", 3: "prog_array", 27: "ringbuf" };

/** Rejected for attributes or fds, before any instruction is checked. */
const ELSEWHERE = [
  "bad: invalid map fd",
  "bad: unknown program type 9999",
  "bad: program name with a space",
  "bad: insn_cnt 1000001",
];

/** The program whose log was longer than the buffer, and cut. */
const LONG = "bad: loop of 10^7";

function mapOf({ maps, value }: RecordedVerdict): MapFacts {
  const [type = 0, key_size = 0, value_size = 0, max_entries = 0, map_flags = 0] = (maps ?? "")
    .split(",")
    .map(Number);
  const shape = { map_type: MAP_TYPES[type] ?? "", key_size, value_size, max_entries, map_flags };
  if (value === undefined) return shape;
  const { locks } = compileSchema({ value }, key_size, value_size);
  return { ...shape, name: "locks", btf: true, ...(locks.length > 0 ? { locks } : {}) };
}

function judged(verdict: RecordedVerdict): Refusal | null {
  const { name, prog_type, license, prog } = verdict;
  const insns = Buffer.from(prog, "hex");
  const progType = TYPES[prog_type];
  const options = {
    ...(progType ? { progType } : {}),
    gplCompatible: license === "GPL",
    expectedAttachType: 0,
    logLevel: 1,
    ...(name === LONG ? { limits: { complexity: 20_000 } } : {}),
  };
  const { beforeMaps: before, refs, atMap: during } = check(insns, options);
  if (before ?? during) return before ?? during;
  const map = mapOf(verdict);
  return verify(
    insns,
    refs.map(() => map),
    options,
  ).refusal;
}

/** The log without lines that differ between loads or count Linux's own work. */
const comparable = (log: string): string[] =>
  log
    .replaceAll(/(?<=\(18\) r\d = )0x(0|ffff8\w{11}) +;/g, "0x0 ;")
    .replaceAll(/=P(?=-?\d)/g, "=")
    .split(/(?=processed \d+ insns)|\n/)
    .filter((line) => line !== "" && !line.startsWith("processed"));

const mine = verdicts.filter(({ name }) => !ELSEWHERE.includes(name));
const accepted = mine.filter(({ kernel }) => kernel.errno === 0);
const refused = mine.filter(({ kernel }) => kernel.errno !== 0);

describe("the verdicts of Linux", () => {
  it.each(accepted.map((verdict) => [verdict.name, verdict] as const))(
    'the program "%s" loads as on Linux',
    (_, verdict) => {
      expect(judged(verdict)).toBeNull();
    },
  );

  it.each(refused.map((verdict) => [verdict.name, verdict] as const))(
    'the program "%s" gets the log of Linux',
    (_, verdict) => {
      const refusal = judged(verdict);
      expect(refusal?.errno).toBe(verdict.kernel.errname);
      if (verdict.name === LONG) return;
      expect(comparable(refusal?.log ?? "")).toEqual(comparable(verdict.kernel.log));
    },
  );

  it("only rejections that name no instruction are left to other tests", () => {
    const left = verdicts.filter(({ name }) => ELSEWHERE.includes(name));
    expect(left.map(({ name }) => name)).toEqual(ELSEWHERE);
  });
});
