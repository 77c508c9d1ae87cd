import type { Insn } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { MapRef, Verdict, VerifierOptions } from "./verdict.ts";
import { check, relocate, tag } from "./verifier.ts";

/** The checks of PROG_LOAD that need no map: the structure, the maps' fds, the tag. */

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
  /** For each instruction that names a map, the index in refs of an entry of that map. */
  places: Uint32Array;
  /** The instructions with indexes into refs instead of fds. */
  indexed: Uint8Array;
  tag: string;
}

/** Keeps the order of the instructions, which decides what map is found wrong first. */
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
    const isFurther = direct && offset > (furthest.get(name) ?? -1);
    if (isFurther) furthest.set(name, offset);
    if (isFurther || !first.has(name)) {
      first.set(name, refs.push(isFurther ? { ...ref, offset } : ref) - 1);
    }
    return first.get(name) ?? 0;
  });
  return { refs, places };
}

/** @param prog the decoded instructions of `loaded`. */
export function precheck(
  { insns, byId }: LoadedInsns,
  prog: readonly Insn[],
  options: VerifierOptions,
  fdArray: readonly number[],
): Precheck {
  const { refs: found, ...verdict } = check(prog, options);
  const { refs, places } = uniqueMaps(found, fdArray, byId);
  const indexed = relocate(insns, places, found);
  return { ...verdict, refs, places, indexed, tag: tag(insns, prog) };
}
