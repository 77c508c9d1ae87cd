/** A program that is measured. */

export interface ProgramShape {
  map_type: "array" | "hash";
  key_size: 4;
  value_size: 8;
  max_entries: number;
  map_flags: 0;
}

export interface BenchProgram {
  name: string;
  /** Of type sched_cls; its map goes by index 0. */
  asm: string;
  /** With max_entries elements, keys from 0 on, all 0. */
  map?: ProgramShape;
  /** The same work on native numbers, answering the same u32, on a state of its own. */
  native(packet: Uint8Array): () => number;
}

/** How often the programs that repeat something do so. */
export const TIMES = 1000;
