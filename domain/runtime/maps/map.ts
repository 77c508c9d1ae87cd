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

/** What a map may know of the run it is in. */
export interface RunContext {
  readonly arena: Arena;
  readonly cpu: number;
  /** Counts what the run keeps beside the arena. @throws Refused ENOMEM */
  charge(bytes: number): void;
  release(bytes: number): void;
  /** The handle of another map. @throws Missing */
  handleOf(id: number): number;
}

export interface Effects {
  reads: ReadSetEntry[];
  writes: WriteSetEntry[];
  addSize: AddSize;
}

/** Flags of an update without BPF_F_LOCK, and whether it was there: a run is a lock by itself. */
export function splitLockFlag(flags: number): [flags: number, locked: boolean] {
  const locked = flags % (2 * BPF_F_LOCK) >= BPF_F_LOCK;
  return [locked ? flags - BPF_F_LOCK : flags, locked];
}

export abstract class RunMap {
  readonly handle: number;
  readonly view: MapView;
  protected readonly run: RunContext;
  protected readonly arena: Arena;
  /** Of an array whose values are all in memory: where, and a byte per element for inlined lookups. */
  base = 0;
  accessFlags = 0;

  constructor(run: RunContext, view: MapView, handle: number) {
    this.run = run;
    this.arena = run.arena;
    this.view = view;
    this.handle = handle;
  }

  /** All values into memory where that is possible. `direct`: the program takes its address. */
  materialize(_direct: boolean): void {}

  lookup(_key: number): number {
    return 0;
  }

  /** A lookup whose value is only added to. */
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
   * Shows elements to `visit` until it says that it has seen enough.
   *
   * @returns how many were shown.
   */
  visitElements(_visit: (key: Uint8Array, value: number) => boolean): number {
    return -ERRNO.EOPNOTSUPP;
  }

  /** The program in a slot, by id. @throws Missing */
  programAt(_index: number): number | null {
    return null;
  }

  /** bpf_redirect_map() @throws Missing */
  redirect(_index: number, _flags: bigint): number {
    return -ERRNO.EOPNOTSUPP;
  }

  abstract collectEffects(effects: Effects): void;
}
