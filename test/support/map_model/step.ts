import fc from "fast-check";
import type { Call, Kernel } from "../../../domain/bpf.ts";
import { isErrno } from "../../../domain/errno.ts";
import { u32Hex } from "../bytes.ts";

/** Plays one call on a map with numbered keys, on a model and directly in the domain. */

export interface MapStep {
  op: "update" | "delete" | "take" | "lookup" | "touch";
  key: number;
  value: string;
  flags: number;
}

/** Models a map naively; apply() returns "ok", a value in hex, or an errno. */
export interface MapModel {
  readonly elements: ReadonlyMap<number, string>;
  evictions: number;
  failures: number;
  apply(step: MapStep): string;
}

export function steps(keys: number, ops: MapStep["op"][], most: number): fc.Arbitrary<MapStep[]> {
  const step = fc.record({
    op: fc.constantFrom(...ops),
    key: fc.nat(keys - 1),
    value: fc.nat(0xffff).map(u32Hex),
    flags: fc.constantFrom(0, 0, 0, 0, 1, 2, 3),
  });
  return fc.array(step, { minLength: most / 2, maxLength: most, size: "max" });
}

const hex = (text: string) => Buffer.from(text, "hex");

/** Returns the bytes that a call sends as the key, or none for a map without keys. */
export interface Target {
  kernel: Kernel;
  call: Call;
  fd: number;
  key(n: number): string;
  /** The size of a value; the bytes of the model are repeated to fill it. */
  valueBytes: number;
}

async function play(target: Target, { op, key, value, flags }: MapStep): Promise<string> {
  const { kernel, call, fd } = target;
  const bytes = hex(target.key(key));
  if (op === "update") {
    const given = Buffer.alloc(target.valueBytes, hex(value));
    await kernel.mapUpdateElem(call, fd, { key: bytes, value: given }, flags, "");
    return "ok";
  }
  if (op === "delete") {
    await kernel.mapDeleteElem(call, fd, bytes, "");
    return "ok";
  }
  const found =
    op === "take"
      ? await kernel.mapLookupAndDeleteElem(call, fd, bytes, 0, "")
      : (await kernel.mapLookupElem(call, fd, bytes, { flags: 0, touch: op === "touch" })).value;
  return found.toString("hex", 0, 4);
}

const AT_ONCE = 100;

/** Sends all steps without waiting; they run in this order because they share a connection. */
export async function playAll(target: Target, all: MapStep[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const some = all.slice(at, at + AT_ONCE).map((step) => play(target, step).catch(errnoOf));
    outcomes.push(...(await Promise.all(some)));
  }
  return outcomes;
}

function errnoOf(error: Error & { code?: string }): string {
  if (error.code && isErrno(error.code)) return error.code;
  throw error;
}
