import { createHash } from "node:crypto";
import type { Master } from "./connection.ts";
import { isForgotten } from "./failures.ts";
import type { InTime } from "./in_time.ts";
import { bundle } from "./lua_bundle.ts";
import type { Argument, RedisValue } from "./redis_value.ts";

/** Runs the text of the library as a script, which Redis takes also when it is too full for the library. */

/** ioredis adds these methods at run time, with replies as buffers; its types lack them. */
interface ScriptMethods {
  evalshaBuffer(sha: string, keys: number, ...args: Argument[]): Promise<RedisValue[]>;
  evalBuffer(text: string, keys: number, ...args: Argument[]): Promise<RedisValue[]>;
}

const sha = createHash("sha1").update(bundle.script).digest("hex");

/** @param keys how many of the words are keys. @throws a failure of errno.ts. */
export async function runAsScript(
  master: Master,
  inTime: InTime,
  keys: number,
  words: readonly Argument[],
): Promise<RedisValue[]> {
  const methods = master as unknown as ScriptMethods;
  try {
    return await inTime(methods.evalshaBuffer(sha, keys, ...words));
  } catch (error) {
    if (!isForgotten(error)) throw error;
  }
  return inTime(methods.evalBuffer(bundle.script, keys, ...words));
}
