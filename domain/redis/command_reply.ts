import { fromReply } from "./failures.ts";
import type { RedisValue } from "./redis_value.ts";

/** Reads the reply of a command of domain/lua: a code, then values, or what is known of a failure. */

export interface CommandReply {
  values: RedisValue[];
  /** The namespace has freeing left, which a sweeper has to go on with. */
  workLeft: boolean;
  /** The request was a repeat: these are the values of its first answer. */
  remembered: boolean;
}

/** The first value of a reply is its code, which is empty for most. */
export const codeOf = ([status]: RedisValue[]) =>
  (status as Buffer | undefined)?.length === 0 ? "" : String(status);

/** @throws the error that the command raised. */
export function toReply(reply: RedisValue[]): CommandReply {
  const code = codeOf(reply);
  const values = reply.slice(1);
  if (code === "" || code === "+" || code === "=") {
    return { values, workLeft: code === "+", remembered: code === "=" };
  }
  const [detail, log, field] = values;
  const more = { ...(log && { log: String(log) }), ...(field && { field: String(field) }) };
  throw fromReply(code, String(detail), more);
}
