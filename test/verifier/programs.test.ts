import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { MapFacts } from "../../domain/verifier/verifier.ts";
import { check, verify } from "../support/verify_bytes.ts";

/**
 * Programs with the verdict of Linux 6.18, one in each line: what clang made of C (loops, packets, maps of
 * maps, tail calls, callbacks, subprograms), the same with an instruction or two changed, and random
 * ones; calls of helpers, and each helper with maps that packets are redirected by, and perf_event_arrays.
 * In insns a map is its place in maps. Functions are static.
 */

interface Asked {
  name: string;
  prog_type: string;
  attach: number;
  insns: string;
  maps?: MapFacts[];
  func_info?: true;
  errno: string | null;
  /** The last line of the log. */
  last?: string;
}

/** Rejections that Linux finds only after many paths: the service accepts such a program. */
const LATE = /^(BPF program is too large|The sequence of \d+ jumps is too complex)/;

/** Other programs that the service accepts, because it does not model what Linux rejects. */
const ACCEPTED = ["changed/1983: R0 bitwise operator &= on pointer prohibited"];

const recorded = readFileSync(join(import.meta.dirname, "programs.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Asked);

function judged({ insns: hex, maps = [], ...given }: Asked) {
  const insns = Buffer.from(hex, "hex");
  const options = {
    progType: given.prog_type,
    expectedAttachType: given.attach,
    gplCompatible: true,
    funcInfo: given.func_info ?? false,
    globalFuncs: [],
    limits: { complexity: 20_000 },
  };
  const { beforeMaps: before, refs, atMap: during } = check(insns, options);
  const refusal = before ?? during;
  if (refusal) return refusal;
  const facts = refs.map(({ value }) => maps[value] as MapFacts);
  return verify(insns, facts, options).refusal;
}

describe("programs that Linux accepts", () => {
  it.each(recorded.filter(({ errno }) => errno === null).map((one) => [one.name, one] as const))(
    "the verifier accepts %s as Linux does",
    (_, one) => {
      expect(judged(one)).toBeNull();
    },
  );
});

describe("programs that Linux rejects", () => {
  const refused = recorded.filter(({ errno }) => errno !== null);
  const unlike = refused.filter((one) => judged(one)?.errno !== one.errno);

  it("programs that Linux rejects get the same errno, but for those that take long", () => {
    const others = unlike.filter(({ last = "" }) => !LATE.test(last));
    expect(others.map(({ name, last }) => `${name}: ${last}`)).toEqual(ACCEPTED);
    expect(unlike.length).toBeLessThan(refused.length / 50);
  });

  it("programs that Linux rejects get the same message", () => {
    const said = refused.filter(
      (one) => !unlike.includes(one) && !one.last?.startsWith("old state"),
    );
    const words = said.filter((one) => judged(one)?.log.split("\n").at(-1) === one.last);
    expect(words.length / said.length).toBeGreaterThan(0.98);
  });
});
