import { decode } from "../../../domain/isa/insn.ts";
import type { MapShape } from "../../../domain/isa/map_shape.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, LD_IMM64 } from "../../../domain/isa/opcodes.ts";

/**
 * A case holds programs with everything they run on; its result comes from the kernel or the
 * service.
 */

export type Elements = readonly (readonly [key: string, value: string])[];

export interface CaseMap extends MapShape {
  /**
   * Keys and values are hex. The value of a slot is the index of its program or map in the case.
   */
  elements: Elements;
  /** The index of the inner map template, for a map of maps. */
  inner?: number;
  /** The offset of bpf_spin_lock in the value. */
  lock?: number;
}

export interface CaseProgram {
  /** A ld_imm64 names a map by its index in the case. */
  insns: Buffer;
  /** The first instruction of each function, when BTF describes the functions. */
  functions: readonly number[];
}

export interface FuzzCase {
  type: string;
  maps: readonly CaseMap[];
  /** The test runs the first program; the others may fill slots. */
  programs: readonly CaseProgram[];
  data: Buffer;
  ctx?: Buffer;
  repeat: number;
}

export interface CaseVerdict {
  /** 0 means that the program was accepted. */
  errno: number;
  log?: string;
}

export interface CaseRun {
  retval: number;
  data: string;
  ctx?: string;
}

/** `run` is missing when the first program was refused. */
export interface CaseResult {
  loads: CaseVerdict[];
  run?: CaseRun | { errno: number } | { fault: string };
  /**
   * Elements are sorted by key, except in queues, stacks and ring buffers; null if no program names
   * the map.
   */
  maps?: (Elements | null)[];
}

/** Finds the maps that programs name and the maps inside them. */
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
