/** The func_info and line_info of a program, and what their BTF says of them. */

/** Records as the caller gave them. */
export interface InfoRecords {
  readonly bytes: Uint8Array;
  readonly recordSize: number;
  readonly count: number;
}

/** What the BTF says of a function. */
export interface BtfFunction {
  readonly isFunction: boolean;
  readonly isGlobal: boolean;
  readonly returnsScalar: boolean;
}

export interface ProgBtf {
  readonly funcs: InfoRecords;
  readonly lines: InfoRecords;
  /** The type that each record of func_info names; records beyond MAX_FUNCTIONS have none. */
  readonly functions: readonly BtfFunction[];
  /** Bytes of the strings of the BTF. */
  readonly stringBytes: number;
}
