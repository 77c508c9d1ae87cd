import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planObject } from "../../domain/elf/object.ts";
import { readObject } from "../../domain/elf/offload_parsing.ts";
import type { Errno } from "../../domain/errno.ts";
import { readSchema } from "../../domain/schema/offload_parsing.ts";
import { compileSchema } from "../../domain/schema/schema.ts";

/** A thread parses large objects and schemas, with the same results. */

const OWNER = { namespace: "parsing" };
const OPTIONS = { name: "obj", pin_root: "/", cpus: 2 };
const small = readFileSync(join(import.meta.dirname, "../elf/objects", "sections.o"));
const large = Buffer.concat([small, Buffer.alloc(1 << 20)]);

/** True when a thread does the work: its message arrives only in the next turn of the event loop. */
async function aside<T>(work: Promise<T>): Promise<{ inThread: boolean; made: T }> {
  let over = false;
  const noted = work.then(() => {
    over = true;
  });
  for (let due = 0; due < 100; due++) await undefined;
  const inThread = !over;
  await noted;
  return { inThread, made: await work };
}

async function refusal(work: Promise<unknown>) {
  const { code, message, field } = await work.then(
    () => expect.fail("was taken"),
    (error: Errno) => error,
  );
  return { code, message, field };
}

describe("object files", () => {
  it("a large object is planned in a thread, with the plan of the event loop", async () => {
    const { made, inThread } = await aside(readObject(OWNER, large, OPTIONS));
    expect(made).toEqual(planObject(small, OPTIONS));
    expect(inThread).toBe(true);
    expect((await aside(readObject(OWNER, small, OPTIONS))).inThread).toBe(false);
  });

  it("a thread rejects a bad object in the same words", async () => {
    const wrong = Buffer.alloc(1 << 20);
    expect(() => planObject(wrong, OPTIONS)).toThrow(
      (await refusal(readObject(OWNER, wrong, OPTIONS))).message,
    );
  });
});

describe("schemas", () => {
  const declarations = "struct s { int a; };\n".padEnd(60_000);

  it("a long schema is read in a thread, with the result of the event loop", async () => {
    const given = { declarations, value: "struct s" };
    const { made, inThread } = await aside(readSchema(OWNER, given, 4, 4));
    expect([made, inThread]).toEqual([compileSchema(given, 4, 4), true]);
  });

  it("a thread rejects a bad schema with its field", async () => {
    const given = { declarations: `${declarations}!`, value: "struct s" };
    expect(await refusal(readSchema(OWNER, given, 4, 4))).toMatchObject({
      code: "EINVAL",
      field: ["schema", "declarations"],
    });
  });
});
