import { ERRNO } from "../../errno.ts";
import { BPF_F_LOCK } from "../../isa/uapi.ts";
import type { Arena } from "../arena.ts";
import type { MapView, ReadSetEntry, WriteSetEntry } from "../job.ts";
import type { AddSize } from "./layout.ts";

/**
 * The base class of a map in a run. Keys and values are checked addresses in the arena; a helper
 * returns an address (0 for NULL) or a negative errno. A type refuses the operations that Linux
 * refuses at load time.
 */

/** The run, as far as its maps use it. */
export interface RunContext {
  readonly arena: Arena;
  readonly cpu: number;
  /** Counts memory that the run holds outside of the arena. @throws InputRefused ENOMEM */
  charge(bytes: number): void;
  release(bytes: number): void;
  /** Returns the handle of another map. @throws MissingData */
  handleOf(id: number): number;
}

export interface Effects {
  reads: ReadSetEntry[];
  writes: WriteSetEntry[];
  addSize: AddSize;
}

/** Splits BPF_F_LOCK off: a run is atomic, so it needs no lock. */
export function splitLockFlag(flags: number): [flags: number, locked: boolean] {
  const locked = flags % (2 * BPF_F_LOCK) >= BPF_F_LOCK;
  return [locked ? flags - BPF_F_LOCK : flags, locked];
}

export abstract class RunMap {
  readonly handle: number;
  readonly view: MapView;
  protected readonly run: RunContext;
  protected readonly arena: Arena;
  /** For inlined lookups in an array: the address of its values, and of a byte of access flags each. */
  base = 0;
  accessFlags = 0;

  constructor(run: RunContext, view: MapView, handle: number) {
    this.run = run;
    this.arena = run.arena;
    this.view = view;
    this.handle = handle;
  }

  /** Puts all values into memory if possible. `direct`: the program addresses the value directly. */
  materialize(_direct: boolean): void {}

  lookup(_key: number): number {
    return 0;
  }

  /** A lookup whose value the program only adds to. */
  lookupToAdd(key: number): number {
    return this.lookup(key);
  }

  lookupPercpu(_key: number, _cpu: number): number {
    return 0;
  }

  update(_key: number, _value: number, _flags: number): number {
    return -ERRNO.EOPNOTSUPP;
  }

  delete(_key: number): number {
    return -ERRNO.EOPNOTSUPP;
  }

  push(_value: number, _flags: number): number {
    return -ERRNO.EOPNOTSUPP;
  }

  pop(_value: number): number {
    return -ERRNO.EOPNOTSUPP;
  }

  peek(_value: number): number {
    return -ERRNO.EOPNOTSUPP;
  }

  /**
   * Calls `visit` with each element until it returns true.
   *
   * @returns the number of elements visited.
   */
  visitElements(_visit: (key: Uint8Array, value: number) => boolean): number {
    return -ERRNO.EOPNOTSUPP;
  }

  /** Returns the id of the program in a slot. @throws MissingData */
  programAt(_index: number): number | null {
    return null;
  }

  /** bpf_redirect_map() @throws MissingData */
  redirect(_index: number, _flags: bigint): number {
    return -ERRNO.EOPNOTSUPP;
  }

  abstract collectEffects(effects: Effects): void;
}
