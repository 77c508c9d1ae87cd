// What PROG_LOAD takes from a program before it knows its maps: what its shape is refused for, the fds it
// names, and its instructions with places in their list instead.

import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { MapRef, Verdict, VerifierOptions } from "./verdict.ts";
import { check, relocate, tag } from "./verifier.ts";

/** A map by the caller's fd or, where the text of the program says so, by its id. */
export interface Ref {
  fd?: number;
  id?: number;
  /** The byte of the map's value that is addressed directly. */
  offset?: number;
}

export interface Precheck extends Pick<Verdict, "beforeMaps" | "atMap" | "at"> {
  /** Each map at its first use, and again where its value is addressed further than before. */
  refs: Ref[];
  /** For each instruction that names a map the place in refs of an entry of it. */
  places: Uint32Array;
  indexed: Uint8Array;
  tag: string;
}

/** What is asked of a map comes in the order of the instructions. */
function uniqueMaps(
  found: readonly MapRef[],
  fdArray: readonly number[],
  byId: LoadedInsns["byId"],
) {
  const first = new Map<string, number>();
  const furthest = new Map<string, number>();
  const refs: Ref[] = [];
  const places = Uint32Array.from(found, ({ insn, kind, value, direct, offset }) => {
    const fd = kind === "fd" ? value : (fdArray[value] ?? -1);
    const ref = byId?.has(insn) ? { id: value >>> 0 } : { fd };
    const name = Object.entries(ref).join();
    const further = direct && offset > (furthest.get(name) ?? -1);
    if (further) furthest.set(name, offset);
    if (further || !first.has(name)) {
      first.set(name, refs.push(further ? { ...ref, offset } : ref) - 1);
    }
    return first.get(name) ?? 0;
  });
  return { refs, places };
}

export function precheck(
  { insns, byId }: LoadedInsns,
  options: VerifierOptions,
  fdArray: readonly number[],
): Precheck {
  const { refs: found, ...verdict } = check(insns, options);
  const { refs, places } = uniqueMaps(found, fdArray, byId);
  const indexed = relocate(insns, places, found);
  return { ...verdict, refs, places, indexed, tag: tag(insns) };
}
