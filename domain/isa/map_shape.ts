/** The attributes of a map that verifying and compiling a program depend on. */

export interface MapShape {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  /** Offsets of each struct bpf_spin_lock in a value; programs take the last one. */
  locks?: readonly number[];
}
