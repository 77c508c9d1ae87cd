import { describe, expect, it } from "vitest";
import { decode } from "../../domain/isa/insn.ts";
import { precheck } from "../../domain/verifier/precheck.ts";
import type { VerifierOptions } from "../../domain/verifier/verifier.ts";
import { decodeUnlessLong, runDoCheck, runPrecheck } from "../../domain/verifier/worker.ts";
import { verify } from "../support/verify_bytes.ts";

/** A thread verifies long programs, with the same results. */

const hex = (text: string): Buffer => Buffer.from(text, "hex");
const MOV = hex("b700000000000000");
const EXIT = hex("9500000000000000");
const DIV = hex("3700000000000000");

const program = (length: number, last = EXIT): Buffer =>
  Buffer.concat([...Array.from({ length: length - 1 }, () => MOV), last]);

const OWNER = { namespace: "checking" };
const decoded = (insns: Buffer) => decodeUnlessLong({ insns });

const doCheck = (insns: Buffer, options: VerifierOptions = {}) =>
  runDoCheck(OWNER, decoded(insns), { maps: [], places: new Uint32Array(), options });

/** A short program with long paths: r0 counts to 2,000. */
const LOOP = hex("b700000000000000" + "0700000001000000" + "5500feffd0070000");

describe("the verifier's threads", () => {
  it("the verifier's thread answers for long programs what the precheck answers", async () => {
    const named = Buffer.concat([hex("1811000003000000" + "0000000000000000"), program(20_000)]);
    for (const insns of [named, program(20_000, MOV)]) {
      const judged = await runPrecheck(OWNER, decoded(insns), {}, []);
      const { indexed, ...rest } = precheck({ insns }, decode(insns), {}, []);
      expect(judged).toEqual({ ...rest, indexed: Uint8Array.from(indexed) });
    }
  });

  it("short programs do not go to the verifier's thread", () => {
    expect(doCheck(program(2))).toEqual(verify(program(2), []));
  });

  it("the verifier's thread answers for each long program what verify() answers", async () => {
    const options = { logLevel: 1 };
    const wrong = Buffer.concat([program(9_000, DIV), EXIT]);
    const programs = [program(20_000), wrong, program(600)];
    const reports = await Promise.all(programs.map((insns) => doCheck(insns, options)));
    expect(reports).toEqual(programs.map((insns) => verify(insns, [], options)));
    expect(reports[1]?.refusal?.log).toContain("div by zero");
  });

  it("short programs with long paths go to the verifier's thread", async () => {
    const insns = Buffer.concat([LOOP, EXIT]);
    const report = doCheck(insns);
    expect(report).toBeInstanceOf(Promise);
    expect((await report).insnsProcessed).toBeGreaterThan(2_000);
  });

  it("the event loop stays free while the verifier's thread works", async () => {
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    await runPrecheck(OWNER, decoded(program(100_000)), {}, []);
    await doCheck(program(100_000));
    clearInterval(counting);
    expect(turns).toBeGreaterThan(3);
  });

  it("at most 64 programs wait for the verifier's threads", async () => {
    // A thread may be idle and take the first.
    const checks = Array.from({ length: 66 }, () => doCheck(program(600)));
    const settled = await Promise.allSettled(checks);
    expect(settled.slice(0, 64).map(({ status }) => status)).not.toContain("rejected");
    expect(settled[65]).toMatchObject({
      reason: { code: "EAGAIN", limit: "checks", isOfNamespace: true },
    });
    expect((await doCheck(program(600))).refusal).toBeNull();
  });
});
