import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Call, Kernel } from "../../domain/bpf.ts";
import { Errno, LimitReached, OutcomeUnknown } from "../../domain/errno.ts";
import { elfCommands } from "../../domain/loader/elf_load.ts";
import { testService } from "../support/service.ts";

/**
 * A load is done or undone when a command fails, its answer is lost, or another session is quicker, at
 * every step in turn. The commands are the real ones; only their failures are simulated.
 */

const service = await testService();
const { kernel } = service;
const read = (name: string) =>
  readFileSync(join(import.meta.dirname, "../elf/objects", `${name}.o`));

/** A new session's calls, with an idempotency record or without. */
async function caller(namespace: string, record = ""): Promise<Call> {
  const { token } = await service.session(namespace);
  const fingerprint = record === "" ? "" : "the same request";
  return { ...kernel.tokens.read(token as string), record, fingerprint };
}

type Command = (call: Call, ...args: never[]) => Promise<unknown>;

/** The kernel's commands, each seen by `around` with its number and its name. */
function watched(around: (n: number, name: string, command: () => Promise<unknown>) => unknown) {
  let count = 0;
  const commands = new Proxy(kernel, {
    get(target, name: keyof Kernel & string) {
      const command = target[name] as unknown as Command;
      return (...args: [Call, ...never[]]) => {
        count += 1;
        return around(count, name, () => command(...args));
      };
    },
  });
  return { elf: elfCommands(commands, async () => ({ cpus: 2 })), steps: () => count };
}

const BARE = { follow: true, entries: true, limit: 100 };

async function tree(call: Call, path: string): Promise<unknown> {
  const node = await kernel.stat(call, path, BARE);
  if (node.type !== "directory") return node;
  const names = (node.entries ?? []).map(({ name }) => name);
  const below = names.map((name) => tree(call, `${path === "/" ? "" : path}/${name}`));
  return { ...node, entries: Object.fromEntries((await Promise.all(below)).entries()), names };
}

/** Counts, contents and names: all that a load could change. The revision of a map only grows. */
async function state(call: Call) {
  const { maps } = await kernel.mapGetNextId(call, { limit: 100 });
  const { progs } = await kernel.progGetNextId(call, { limit: 100 });
  const stable = maps.map(({ revision: _, ...map }) => map);
  const { fds } = await kernel.fdList(call, { limit: 100 });
  return { maps: stable, progs, fds, tree: await tree(call, "/") };
}

const OPTIONS = { name: "obj", pin_root: "/pins/here", pin_progs: "/progs", log_level: 0 };
const OBJECTS = ["sections", "nested", "pinned", "iproute2"];

async function stepsOf(name: string): Promise<number> {
  const { elf, steps } = watched((_, __, command) => command());
  await elf.elfLoad(await caller(service.namespace()), read(name), OPTIONS);
  return steps();
}

/** Commands that a load repeats when they fail: a load for its log, a map without a schema. */
const REPEATED = ["progLoad", "mapCreate"];

/** Fails the nth command, and again if it is tried again. */
function failing(n: number) {
  let failed = "";
  return watched((i, name, command) => {
    const again = i === n + 1 && failed === name && REPEATED.includes(name);
    if (i !== n && !again) return command();
    failed = name;
    throw new Errno("ENOMEM", `command ${i} fails`);
  }).elf;
}

it.each(OBJECTS)("a load of %s.o leaves nothing, whichever command fails", async (name) => {
  const call = await caller(service.namespace());
  const before = await state(call);
  const total = await stepsOf(name);
  expect(total).toBeGreaterThan(10);
  for (let n = 1; n <= total; n++) {
    const load = failing(n).elfLoad(call, read(name), OPTIONS);
    await expect(load, `command ${n}`).rejects.toMatchObject({ code: "ENOMEM" });
    expect(await state(call), `command ${n}`).toEqual(before);
  }
});

it("a failed load leaves maps pinned before and their slots as they were", async () => {
  const namespace = service.namespace();
  const options = { ...OPTIONS, pin_progs: undefined };
  await kernel.elfLoad(await caller(namespace), read("pinned"), options);
  const call = await caller(namespace);
  const before = await state(call);
  let n = 0;
  for (let failed = true; failed; ) {
    n += 1;
    const load = failing(n).elfLoad(call, read("pinned"), options);
    failed = await load.then(
      () => false,
      () => true,
    );
    if (failed) expect(await state(call), `command ${n}`).toEqual(before);
  }
  // Two maps looked at, two programs, a slot kept, set and let go.
  expect(n).toBeGreaterThan(8);
});

it.each(OBJECTS.slice(1))(
  "a repeated load of %s.o finds its result, whichever answer was lost",
  async (name) => {
    const total = await stepsOf(name);
    for (let n = 1; n <= total; n++) {
      const call = await caller(service.namespace(), "a key");
      const { elf } = watched(async (i, _, command) => {
        if (i !== n) return command();
        await command().catch(() => "an errno is an answer, too");
        throw new OutcomeUnknown("the answer is lost");
      });
      const lost = elf.elfLoad(call, read(name), OPTIONS);
      await expect(lost, `command ${n}`).rejects.toBeInstanceOf(OutcomeUnknown);
      const loaded = await kernel.elfLoad(call, read(name), OPTIONS);
      const once = await state({ ...call, record: "" });
      const made = [loaded.maps.length, loaded.progs.length];
      expect([once.maps.length, once.progs.length], `command ${n}`).toEqual(made);
      expect(once.fds.length).toBe(loaded.maps.length + loaded.progs.length);
      expect(await kernel.elfLoad(call, read(name), OPTIONS)).toEqual(loaded);
      expect(await state({ ...call, record: "" })).toEqual(once);
    }
  },
);

it("a repeated load continues after a program found no place to be checked", async () => {
  const call = await caller(service.namespace(), "a key");
  const { elf } = watched((_, name, command) => {
    if (name === "progLoad") throw new LimitReached("checks", 64, 32);
    return command();
  });
  const load = elf.elfLoad(call, read("nested"), OPTIONS);
  await expect(load).rejects.toBeInstanceOf(LimitReached);
  const loaded = await kernel.elfLoad(call, read("nested"), OPTIONS);
  expect((await state({ ...call, record: "" })).progs).toHaveLength(loaded.progs.length);
  expect((await state({ ...call, record: "" })).maps).toHaveLength(loaded.maps.length);
});

it("a map that somebody else pins first is checked again and used", async () => {
  const namespace = service.namespace();
  const [call, other] = [await caller(namespace), await caller(namespace)];
  const options = { name: "obj", pin_root: "/", log_level: 0 };
  let first = true;
  const { elf } = watched(async (_, name, command) => {
    if (name === "objPin" && first) {
      first = false;
      await kernel.elfLoad(other, read("pinned"), options);
    }
    return command();
  });
  const { maps } = await elf.elfLoad(call, read("pinned"), options);
  expect(maps.map(({ reused }) => reused)).toEqual([true, true]);
  const { maps: all } = await kernel.mapGetNextId(call, { limit: 100 });
  expect(all.map(({ id }) => id)).toEqual(maps.map(({ id }) => id));
});

it("a slot out of range undoes the whole load", async () => {
  const call = await caller(service.namespace());
  const before = await state(call);
  const options = { ...OPTIONS, max_entries: { jumps: 2 } };
  const load = kernel.elfLoad(call, read("nested"), options);
  await expect(load).rejects.toMatchObject({
    code: "E2BIG",
    message: expect.stringMatching(/^map 'jumps', slot 2: /),
  });
  expect(await state(call)).toEqual(before);
});

it("a session without room for all fds gets none of them", async () => {
  const namespace = service.namespace();
  for (const nofile of [3, 4, 8, 16, 19]) {
    const { token } = await service.session(namespace, { nofile });
    const call = { ...kernel.tokens.read(token as string), record: "", fingerprint: "" };
    const load = kernel.elfLoad(call, read("sections"), OPTIONS);
    await expect(load, `${nofile}`).rejects.toMatchObject({ code: "EMFILE" });
    expect((await kernel.fdList(call, { limit: 100 })).fds).toEqual([]);
  }
});
