import { decode } from "../../../domain/isa/insn.ts";
import type { MapShape } from "../../../domain/isa/map_shape.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, LD_IMM64 } from "../../../domain/isa/opcodes.ts";

/** Programs with all that they run on, and what comes of it: by the kernel or by the service. */

export type Elements = readonly (readonly [key: string, value: string])[];

export interface CaseMap extends MapShape {
  /** Keys and values as hex; of a slot the place of its program or map in the case. */
  elements: Elements;
  /** Of a map of maps: the place of the map that its elements are like. */
  inner?: number;
  /** Where its values have a bpf_spin_lock. */
  lock?: number;
}

export interface CaseProgram {
  /** A ld_imm64 names a map by its place in the case. */
  insns: Buffer;
  /** Where its functions begin, when BTF describes them. */
  functions: readonly number[];
}

export interface FuzzCase {
  /** Type of all programs. */
  type: string;
  maps: readonly CaseMap[];
  /** The first is run; the others may be in slots. */
  programs: readonly CaseProgram[];
  data: Buffer;
  ctx?: Buffer;
  repeat: number;
}

export interface CaseVerdict {
  /** 0: accepted. */
  errno: number;
  log?: string;
}

export interface CaseRun {
  retval: number;
  data: string;
  ctx?: string;
}

/** `run` is left out when the first program was refused. */
export interface CaseResult {
  loads: CaseVerdict[];
  run?: CaseRun | { errno: number } | { fault: string };
  /** Sorted by key, but of queues, stacks and ring buffers; null for a map that no program names. */
  maps?: (Elements | null)[];
}

/** The maps that programs name, with the maps in them. */
export function usedMaps({ maps, programs }: FuzzCase): Set<number> {
  const used = new Set<number>();
  for (const { insns } of programs) {
    const prog = decode(insns);
    for (const { code, src, imm } of prog) {
      if (code !== LD_IMM64 || (src !== BPF_PSEUDO_MAP_FD && src !== BPF_PSEUDO_MAP_VALUE))
        continue;
      if (imm >= 0 && imm < maps.length) used.add(imm);
    }
  }
  for (const place of [...used]) {
    const { inner, elements } = maps[place] as CaseMap;
    if (inner === undefined) continue;
    used.add(inner);
    for (const [, value] of elements) used.add(Buffer.from(value, "hex").readUInt32LE());
  }
  return used;
}
