import { expect, it } from "vitest";
import { ERRNO, Errno } from "../../domain/errno.ts";
import { fromKept, keepFailure } from "../../domain/redis/idempotency.ts";

/** Failures that are kept outside of Redis' own records, and what an older version kept. */

function thrownBy(answer: Parameters<typeof fromKept>[0]): Errno {
  try {
    fromKept(answer);
  } catch (error) {
    if (error instanceof Errno) return error;
  }
  throw new Error("no errno was thrown");
}

it("a kept failure is thrown again with its errno, detail, field and extensions", () => {
  const extensions = { fault: { reason: "budget" } };
  const failure = new Errno("E2BIG", "too long", { field: ["ctx", "len"], extensions });
  const again = thrownBy(JSON.parse(JSON.stringify(keepFailure(failure))));
  expect(again).toMatchObject({ code: "E2BIG", message: "too long", extensions });
  expect(again.field).toEqual(["ctx", "len"]);
  expect(ERRNO[again.code]).toBe(7);
});

it("a failure that an older version kept loses neither its field nor its extensions", () => {
  const told = { fault: { reason: "memory" } };
  const again = thrownBy({
    errno: "EFAULT",
    detail: "insn 3",
    more: { pointer: "/body/ctx_in/len", told },
  });
  expect(again).toMatchObject({ code: "EFAULT", extensions: told });
  expect(again.field).toEqual(["ctx_in", "len"]);
});
