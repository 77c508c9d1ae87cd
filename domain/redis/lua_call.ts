import { isAscii } from "node:buffer";
import type { Argument } from "./redis_value.ts";

/** A call of a command of domain/lua, and the words in which syscall.lua reads it. */

/** The caller: session id, token hash, name of the idempotency record, fingerprint of the request. */
export type Who = readonly [sid: string, hash: string, record: string, fingerprint: string];

/** The caller of what no session calls. */
export const NOBODY: Who = ["", "", "", ""];

export interface LuaCall {
  namespace: string;
  command: string;
  who: Who;
  args: readonly Argument[];
  /** Its request has done something, so it is not refused before it is sent. */
  isBegun: boolean;
}

/** Place of the beat among the words of a call. */
export const BEAT_WORD = 7;

const SHORT_BYTES = 256;

/** ioredis encodes a call without buffers in one piece, which is faster. */
function encodeShort(arg: Buffer): Argument {
  return arg.length <= SHORT_BYTES && isAscii(arg) ? arg.toString("latin1") : arg;
}

/** @param beat the last one of the namespace's master, which ages while a call waits. */
export function wordsOf({ namespace, command, who, args }: LuaCall, beat: string): Argument[] {
  const root = `bpf:{${namespace}}:`;
  const words: Argument[] = [root, `${root}meta`, command, ...who, beat];
  for (const arg of args) words.push(typeof arg === "object" ? encodeShort(arg) : arg);
  return words;
}
