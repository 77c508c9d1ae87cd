import type { ProgType } from "./prog_types.ts";

/** One helper of Linux 6.18: its struct bpf_func_proto, and the programs that may call it. */

/** The argument types of enum bpf_arg_type, less the prefix ARG_ and in words. */
export type HelperArg =
  | "ctx" // PTR_TO_CTX
  | "ctx_or_null"
  | "anything"
  | "map" // CONST_MAP_PTR
  | "map_key" // PTR_TO_MAP_KEY, of the map before it
  | "map_value" // PTR_TO_MAP_VALUE, of the map before it
  | "uninit_map_value"
  | "mem" // PTR_TO_MEM | MEM_RDONLY, as long as the next argument says
  | "mem_or_null"
  | "uninit_mem" // PTR_TO_MEM | MEM_WRITE: the helper fills it
  | "uninit_mem_or_null"
  | "size" // CONST_SIZE, of the memory before it
  | "size_or_zero"
  | "uninit_u64" // PTR_TO_FIXED_SIZE_MEM of eight bytes, which the helper fills
  | "written_u32" // The same of four bytes, which the helper reads first.
  | "mem_of_20" // PTR_TO_FIXED_SIZE_MEM: struct iphdr, struct tcphdr
  | "mem_of_40" // struct ipv6hdr
  | "sock_common" // PTR_TO_SOCK_COMMON
  | "sock_or_null" // PTR_TO_SOCKET_OR_NULL
  | "btf_sock_common" // PTR_TO_BTF_ID_SOCK_COMMON
  | "btf_sock_common_or_null"
  | "btf" // PTR_TO_BTF_ID
  | "percpu_btf" // PTR_TO_PERCPU_BTF_ID
  | "timer" // PTR_TO_TIMER
  | "released_sock" // PTR_TO_BTF_ID_SOCK_COMMON | OBJ_RELEASE
  | "alloc_size" // CONST_ALLOC_SIZE_OR_ZERO
  | "dynptr" // PTR_TO_DYNPTR | MEM_RDONLY: one that was made before
  | "uninit_dynptr_local"
  | "uninit_dynptr_ringbuf"
  | "released_dynptr_ringbuf"
  | "ringbuf_mem" // PTR_TO_RINGBUF_MEM, which the call releases
  | "const_str" // PTR_TO_CONST_STR
  | "func"
  | "stack_or_null"
  | "unmodelled" // The verifier of this service does not follow it.
  | "rest_unmodelled"; // The same for this argument and those after it.

/** enum bpf_return_type, less the prefix RET_ and in words. */
export type HelperReturn =
  | "integer"
  | "integer_up_to_size" // do_refine_retval_range(): at most the size given, or an error
  | "map_value_or_null"
  | "map_value"
  | "ringbuf_mem_or_null"
  | "dynptr_mem_or_null"
  | "sock_common_or_null"
  | "sock_or_null"
  | "tcp_sock_or_null"
  | "cpu" // The number of a CPU.
  | "void"
  | "unmodelled";

export interface HelperRow {
  readonly id: number;
  readonly name: string;
  /**
   * The first Linux with it, by docs/kernel-versions.md of iovisor/bcc; left out where that list
   * contradicts the order of the ids.
   */
  readonly since?: string;
  readonly args: readonly HelperArg[];
  readonly returns: HelperReturn;
  /** Program types that may call it; empty when none of those known here may. */
  readonly in: readonly ProgType[];
  /** Some program types have another function of the same name. */
  readonly variant?: { readonly in: readonly ProgType[]; readonly args: readonly HelperArg[] };
  /** Attach types that may call it, where not all of a program type may. */
  readonly attachTypes?: Readonly<Partial<Record<ProgType, readonly number[]>>>;
  /** What it returns is a reference that the program releases (is_acquire_function). */
  readonly acquires?: boolean;
  /** What it returns belongs to the reference of its argument (is_ptr_cast_function). */
  readonly casts?: boolean;
  /** The only map types that it accepts (check_map_func_compatibility). */
  readonly maps?: readonly string[];
  readonly gplOnly?: boolean;
  /** Only a program with BPF_F_SLEEPABLE may call it. */
  readonly mightSleep?: boolean;
  /** The loader needs CAP_PERFMON. */
  readonly perfmon?: boolean;
  /** It may read the packet directly (pkt_access). */
  readonly readsPacket?: boolean;
  /** It invalidates pointers into the packet (bpf_helper_changes_pkt_data). */
  readonly changesPacket?: boolean;
}
