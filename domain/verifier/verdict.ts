import type { FuncType } from "../isa/func_type.ts";
import type { MapShape } from "../isa/map_shape.ts";
import type { ProgBtf } from "./prog_btf.ts";

export type RefusalErrno =
  | "E2BIG"
  | "EACCES"
  | "EFAULT"
  | "EINVAL"
  | "ENOENT"
  | "ENOTSUPP"
  | "EOPNOTSUPP"
  | "EPROTO";

export interface Refusal {
  readonly errno: RefusalErrno;
  /** The kernel's log, without its closing newline; empty where the kernel says nothing. */
  readonly log: string;
  /** What is wrong, where the kernel says nothing. */
  readonly detail?: string;
}

export interface MapRef {
  /** Index of the first half of the ld_imm64. */
  readonly insn: number;
  readonly kind: "fd" | "idx";
  /** The fd itself, or the index into fd_array. */
  readonly value: number;
  /** MAP_VALUE forms: the address of the value, not the map. */
  readonly direct: boolean;
  /** Offset inside the value; zero unless direct. */
  readonly offset: number;
}

/** The result of the checks without maps. The first error is beforeMaps, then refs in order, then atMap. */
export interface Verdict {
  readonly beforeMaps: Refusal | null;
  readonly refs: readonly MapRef[];
  readonly atMap: Refusal | null;
  /** The instruction that `atMap` is about. */
  readonly at?: number;
}

/** A map as programs see it. */
export interface MapFacts extends MapShape {
  readonly name?: string;
  readonly id?: number;
  /** User space can no longer write it. */
  readonly frozen?: boolean;
  /** BTF describes its values, as it does where they have locks. */
  readonly btf?: boolean;
  /** The template of the maps inside a map of maps. */
  readonly inner?: Omit<MapFacts, "inner">;
}

/** The result of the checks with maps. */
export interface Report {
  readonly refusal: Refusal | null;
  /** The instruction refused, if it is one. */
  readonly at?: number;
  /** The log of an accepted program, at the log level of the load. */
  readonly log: string;
  /** Per instruction: 1 where its memory access is within its region on every path. */
  readonly provenAccesses: Uint8Array;
  /** Instructions processed, each as often as a path reaches it. */
  readonly insnsProcessed: number;
  /** 1 for each instruction that a path reaches; left out if not all paths were followed. */
  readonly seen?: Uint8Array;
}

/** Linux returns E2BIG beyond these. */
export interface Limits {
  /** Instructions of a program. */
  readonly insns: number;
  /** Instructions processed, each as often as a path reaches it. */
  readonly complexity: number;
}

export const LIMITS: Limits = { insns: 1_000_000, complexity: 1_000_000 };

export interface VerifierOptions {
  /** Name of the program type, e.g. "xdp"; without it no check depends on the type. */
  readonly progType?: string;
  /** The licence is one of those that may call GPL-only helpers. */
  readonly gplCompatible?: boolean;
  readonly expectedAttachType?: number;
  readonly progFlags?: number;
  /** Entries in fd_array; leave out when the load carries none. */
  readonly fdArrayLength?: number;
  /** The load carries func_info (BTF of its functions). */
  readonly funcInfo?: boolean;
  /** The types of all functions, with func_info; left out where they are not known. */
  readonly funcTypes?: readonly FuncType[];
  /** The loader has CAP_PERFMON, as it has unless this is false. */
  readonly perfmon?: boolean;
  /**
   * With func_info, the first instructions of those functions that are global, which Linux checks each
   * by itself; left out, any may be.
   */
  readonly globalFuncs?: readonly number[];
  /** func_info and line_info, with what their BTF says of them; for the checks without maps. */
  readonly btf?: ProgBtf | undefined;
  /** The report has the instructions that a path reaches. */
  readonly reportsSeen?: boolean;
  /** Bits: 1 log of a refused program, 2 of all, 4 statistics. */
  readonly logLevel?: number;
  readonly limits?: Partial<Limits>;
}

export function einval(log: string): Refusal {
  return { errno: "EINVAL", log };
}

export function refuse(errno: RefusalErrno, log: string): Refusal {
  return { errno, log };
}
