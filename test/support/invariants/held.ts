import type { RecordFields } from "../stored.ts";
import { at, type Dump } from "./read.ts";

/** Holds what all invariant checks share: claims, holders, and the dump by noun and id. */

export type Claim = (holds: boolean, otherwise: string) => void;

/** Maps an object ("map 3") and a holder ("file:4") to the number of references. */
export class HeldReferences {
  readonly #held = new Map<string, Map<string, number>>();

  add(kind: string, id: string | number, holder: string): void {
    const of = this.#held.get(`${kind} ${id}`) ?? new Map<string, number>();
    of.set(holder, (of.get(holder) ?? 0) + 1);
    this.#held.set(`${kind} ${id}`, of);
  }

  of(kind: string, id: string): [holder: string, count: number][] {
    return [...(this.#held.get(`${kind} ${id}`) ?? [])];
  }

  objects(): string[] {
    return [...this.#held.keys()];
  }
}

/** Splits the items of pending freeing work into words. */
export function workOf(dump: Dump): string[][] {
  return (dump.lists.get(at("work", "")) ?? []).map((item) => item.split(" "));
}

export function pending(dump: Dump, ...words: string[]): string[] | undefined {
  return workOf(dump).find((item) => words.every((word, i) => item[i] === word));
}

export function fields(dump: Dump, noun: string, id: string | number): RecordFields | undefined {
  return dump.hashes.get(at(noun, id));
}

export const ids = (dump: Dump, noun: string) => dump.keys.get(noun) ?? [];

export function members(dump: Dump, noun: string, id: string | number = ""): [string, number][] {
  const rows = dump.sets.get(at(noun, id)) ?? [];
  return rows.map(([member, score]) => [member.toString("latin1"), score]);
}
