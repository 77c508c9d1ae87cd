/** The programs of the bench. */

export interface ProgramShape {
  map_type: "array" | "hash";
  key_size: 4;
  value_size: 8;
  max_entries: number;
  map_flags: 0;
}

export interface BenchProgram {
  name: string;
  /** The text of a sched_cls program; its map has index 0. */
  asm: string;
  /** The map, filled with max_entries zeros at the keys from 0. */
  map?: ProgramShape;
  /** Does the same work with JavaScript numbers and its own state, and returns the same u32. */
  native(packet: Uint8Array): () => number;
}

/** Repetitions in the programs that have a loop. */
export const TIMES = 1000;
