import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ACCESS } from "../../domain/redis/command_access.ts";
import { connect, connected } from "../../domain/redis/connection.ts";
import { bundleLua, type LuaBundle } from "../../domain/redis/lua_bundle.ts";
import type { Argument, RedisValue } from "../../domain/redis/redis_value.ts";
import { commandNames } from "../../domain/redis/script.ts";
import { born, CALLS, NOBODY, SESSIONLESS, TOKEN } from "../support/library_calls.ts";
import { DEADLINE_MS } from "../support/patience.ts";

/** Modules of the library live on between calls; no state of one call may reach the next. */

const redis = connect(inject("redisUrl"), DEADLINE_MS);
const commands = redis as unknown as {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
};

/**
 * The library with one more function, which lets every call of Redis fail from the n-th on (0: none). It has
 * a name of its own, so that other tests do not meet the faults.
 */
function withFaults(): LuaBundle & { fault: string } {
  const { name, library, functions, ...rest } = bundleLua();
  const own = `bpf_${createHash("sha1").update(`${name}${process.pid}`).digest("hex").slice(0, 16)}`;
  const renamed = (text: string) => text.replaceAll(name, own);
  const faulty = library
    .replace("local current\n", FAULTY)
    .replaceAll("redis.call", "call_or_fail")
    .replaceAll("REAL_CALL", "redis.call");
  return {
    ...rest,
    name: own,
    fault: `${own}_fault`,
    functions: {
      grow: renamed(functions.grow),
      free: renamed(functions.free),
      read: renamed(functions.read),
    },
    library: `${renamed(faulty)}\nredis.register_function("${own}_fault", set_fault)`,
  };
}

const FAULTY = `local current
local fail_at, count = 0, 0
local function call_or_fail(...)
  count = count + 1
  if count == fail_at then error("an injected fault", 0) end
  return REAL_CALL(...)
end
local function set_fault(_, args) fail_at, count = tonumber(args[1]), 0 return count end
`;

const bundle = withFaults();

beforeAll(async () => {
  await connected(redis);
});
afterAll(async () => {
  await redis.function("DELETE", bundle.name);
  const keys = await redis.keys("bpf:{state-*");
  if (keys.length > 0) await redis.unlink(...keys);
  redis.disconnect();
});

/** Loads the library again, so that its modules hold nothing of earlier calls. */
async function reload(): Promise<void> {
  await redis.function("LOAD", "REPLACE", bundle.library);
}

const setFault = (at: number) => commands.fcallBuffer(bundle.fault, 2, "x", "y", at);

async function call(
  namespace: string,
  who: readonly Argument[],
  command: string,
  args: readonly Argument[],
): Promise<RedisValue[]> {
  const root = `bpf:{${namespace}}:`;
  const name = bundle.functions[ACCESS.get(command) ?? "grow"];
  return commands.fcallBuffer(name, 2, root, `${root}meta`, command, ...who, "", ...args);
}

const SELF = ["1", TOKEN, "", ""];
const whoOf = (command: string) => (SESSIONLESS.includes(command) ? NOBODY : SELF);

/** As text, without times and the namespace's name, which alone may differ. */
function replyText(reply: RedisValue | undefined): string {
  if (Array.isArray(reply)) return `[${reply.map(replyText).join()}]`;
  return String(reply).replaceAll(/\b1\d{12}\b|\b39\d{5}\b|\{state-[-\d]+\}/g, "*");
}

let spaces = 0;
async function newSpace(cpus = 2): Promise<string> {
  const namespace = `state-${process.pid}-${spaces++}`;
  await call(namespace, NOBODY, "session_create", born(TOKEN, cpus));
  return namespace;
}

/** Runs all commands in a new namespace, each after `before`. @returns the replies. */
async function replies(before: () => Promise<unknown>): Promise<string[]> {
  const namespace = await newSpace();
  const all: string[] = [];
  for (const [command, ...args] of CALLS) {
    await before();
    all.push(`${command} ${replyText(await call(namespace, whoOf(command), command, args))}`);
  }
  return all;
}

let clean: string[] = [];
beforeAll(async () => {
  await reload();
  clean = await replies(reload);
});

it("every command succeeds on a fresh library", () => {
  expect(clean.filter((line) => !/^\w+ \[[+]?,?/.test(line) || /\[[A-Z]/.test(line))).toEqual([]);
  expect(new Set(CALLS.map(([command]) => command))).toEqual(
    new Set(commandNames().filter((command) => !["session_create", "refused"].includes(command))),
  );
});

/** Another session, CPU count and objects, so that state left from them shows. */
async function otherSpace(): Promise<string> {
  const namespace = await newSpace(7);
  await call(namespace, SELF, "map_create", [
    ...["array", 4, 16, 9, 0, "", "0", "", "", "", 0, 0, 0, 0],
  ]);
  await call(namespace, SELF, "mkdir", ["/a", 448]);
  await call(namespace, SELF, "obj_pin", ["/d", 3, 0]);
  await call(namespace, SELF, "session_set", [5, 6, ",7,", 63, ""]);
  return namespace;
}

const failed = (reply: RedisValue[]) => !["", "+", "="].includes(String(reply[0]));

describe.each(commandNames())("after %s has failed", (command) => {
  it("a failed command leaves no state: every command still answers as before", async () => {
    const other = await otherSpace();
    const strange = await newSpace();
    await redis.hset(`bpf:{${strange}}:meta`, "layout", "99");
    const wrong = [
      () => call(other, ["1", "wrong", "", ""], command, ["3", "/a", "0"]),
      () => call(other, ["99", TOKEN, "", ""], command, ["3", "/d", "0"]),
      () => call(strange, SELF, command, []),
      ...(command === "exit" ? [] : [() => call(other, SELF, command, ["77", "x", "y", "z"])]),
    ];
    let failures = 0;
    let turn = 0;
    const after = await replies(async () => {
      const reply = await (wrong[turn++ % wrong.length] as () => Promise<RedisValue[]>)();
      if (failed(reply)) failures += 1;
    });
    expect(after).toEqual(clean);
    expect(failures).toBeGreaterThan((CALLS.length * 3) / 4 - 1);
  });
});

/** The number of calls of Redis, for each command, at which a fault is tried. */
const POSITIONS = 12;

describe("after a fault in the middle of a command", () => {
  it.each(CALLS.map(([command], at) => [command, at] as const))(
    "after a fault in %s (call %i of the list) every command answers as before",
    async (_command, at) => {
      // The commands before it succeed; then it fails at one call after another.
      const [command = "", ...args] = CALLS[at] ?? [];
      let position = 0;
      let faults = 0;
      const spoil = async () => {
        position = (position % POSITIONS) + 1;
        const namespace = await newSpace(3);
        for (const [name, ...rest] of CALLS.slice(Math.max(0, at - 3), at)) {
          await call(namespace, whoOf(name), name, rest);
        }
        await setFault(position);
        const reply = await call(namespace, whoOf(command), command, args);
        await setFault(0);
        if (String(reply[0]) === "FAULT" && String(reply[1]).includes("injected")) faults += 1;
      };
      const namespace = await newSpace();
      const after: string[] = [];
      for (const [i, [name, ...rest]] of CALLS.entries()) {
        if (i % 4 === at % 4) await spoil();
        after.push(`${name} ${replyText(await call(namespace, whoOf(name), name, rest))}`);
      }
      expect(after).toEqual(clean);
      expect(faults).toBeGreaterThan(3);
    },
  );
});
