// What the verifier hands back: refusals in the kernel's words, and the maps a program names.

export type Errno = "E2BIG" | "EACCES" | "EFAULT" | "EINVAL" | "ENOENT" | "EPROTO";

export interface Refusal {
  readonly errno: Errno;
  /** The kernel's log, without its closing newline; empty where the kernel says nothing. */
  readonly log: string;
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

/** The order of bpf_check(): the first non-null of before, (refs, in order), during, after wins. */
export interface Verdict {
  readonly before: Refusal | null;
  readonly refs: readonly MapRef[];
  readonly during: Refusal | null;
  readonly after: Refusal | null;
}

export interface Options {
  /** Name of the program type, e.g. "xdp"; without it no check depends on the type. */
  readonly progType?: string;
  /** Entries in fd_array; leave out when the load carries none. */
  readonly fdArrayLength?: number;
  /** The load carries func_info (BTF of its functions). */
  readonly funcInfo?: boolean;
  /** From 1 on the refused instruction is printed above the refusal. */
  readonly logLevel?: number;
}

export function einval(log: string): Refusal {
  return { errno: "EINVAL", log };
}

export function refuse(errno: Errno, log: string): Refusal {
  return { errno, log };
}
