import { describe, expect, it } from "vitest";
import { check, tag } from "../domain/verifier/verifier.ts";
import { judge } from "../domain/verifier/worker.ts";

/** Long programs are judged in a thread, and judged the same. */

const MOV = Buffer.from("b700000000000000", "hex");
const EXIT = Buffer.from("9500000000000000", "hex");

function program(length: number, last = EXIT): Buffer {
  return Buffer.concat([...Array.from({ length: length - 1 }, () => MOV), last]);
}

describe("the verifier's thread", () => {
  it("judges a short program at once, in the caller's thread", () => {
    const insns = program(2);
    expect(judge(insns, {})).toEqual({ verdict: check(insns), tag: tag(insns) });
  });

  it("judges long programs as check() and tag() do, each by itself", async () => {
    const programs = [program(20_000), program(10_000, MOV), program(600)];
    const judged = await Promise.all(programs.map((insns) => judge(insns, { logLevel: 1 })));
    const direct = programs.map((insns) => ({
      verdict: check(insns, { logLevel: 1 }),
      tag: tag(insns),
    }));
    expect(judged).toEqual(direct);
    expect(judged[1]?.verdict.before?.log).toBe("last insn is not an exit or jmp");
  });

  it("leaves the event loop free meanwhile", async () => {
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    await judge(program(100_000), {});
    clearInterval(counting);
    expect(turns).toBeGreaterThan(3);
  });
});
