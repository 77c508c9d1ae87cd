import { BPF_FUNC, type HelperName } from "../isa/helpers/index.ts";
import { MAX_BPF_STACK, MAX_CALL_FRAMES, MAX_TAIL_CALL_CNT } from "../isa/limits.ts";
import type { MapShape } from "../isa/map_shape.ts";

/**
 * The contract of a compiled program and the machine that runs it. Addresses are offsets into one
 * WebAssembly.Memory; a register holds an address as an unsigned 64-bit number.
 */

/** Addresses below are never memory: NULL, what is near it, and handles of maps and functions. */
export const MEMORY_START = 0x1_0000;
export const STACK = MEMORY_START;
/** Top of the stack: a tail call keeps the frames above that of the calling function. */
export const STACK_TOP =
  STACK + (MAX_CALL_FRAMES + MAX_TAIL_CALL_CNT * (MAX_CALL_FRAMES - 1)) * MAX_BPF_STACK;
/** The arena, up to ARENA_END, holds contexts, packets and values, at least 8 bytes apart. */
export const ARENA = STACK + 0x2_0000;
export const ARENA_END = 0x0200_0000;
/**
 * The shadow has one byte for each granule of 8 bytes: how many of its first bytes may be read
 * (written). The byte of address a is at SHADOW_READ + (a >>> 3). Regions start at multiples of 8.
 */
export const SHADOW_READ = 0x0220_0000;
export const SHADOW_WRITE = 0x0280_0000;
export const MEMORY_PAGES = 0x0300_0000 / 0x1_0000;

/**
 * Returns the distance of resident elements of an array: `base<i> + index * stride`. The gap is
 * never accessible.
 */
export const elementStride = ({ value_size }: { value_size: number }): number =>
  Math.ceil(value_size / 8) * 8 + 8;

/**
 * The input of the compiler. In insns a map is its index in `maps`: imm of a ld_imm64 with src 1,
 * or 2 with an offset into its only value in the second imm.
 */
export interface CompilationUnit {
  insns: Uint8Array;
  maps: readonly MapShape[];
  prog_type: string;
  /** BTF describes the program's functions. */
  func_info?: boolean;
  /**
   * 1 for each instruction whose access the load proved; left out when this process has no proof.
   */
  provenAccesses?: Uint8Array;
}

/**
 * The compiled form. Every subprogram is a function (r1..r5 i64, sb i32) -> i64, sb being the frame
 * pointer r10, which grows down by MAX_BPF_STACK per call from TOP.
 *
 * Imports, all of module "env":
 *   memory; table (funcref, shared by all programs of a machine); fuel (mutable i64)
 *   floor      mutable i32: no frame goes below it; MAX_CALL_FRAMES below the frame of the program
 *   h<N>       helper N (helperImport) with the signature of HELPERS
 *   add_lookup a lookup (ADD_LOOKUP) in an array or hash, of one CPU's values or not, whose value is only
 *              tested for NULL and added to by atomics without fetch, each at a multiple of its size
 *   tail_call  (map handle i32, index i32, sb i32) -> i32: place in table, or -1 for a miss
 *   skb_load   (offset i32, size i32) -> i64: LD_ABS and LD_IND, host order; -1 ends the function with 0
 * Exports:
 *   main       subprogram 0
 *   callback   (function handle i32, r1..r5 i64, sb i32) -> i64; present when a function is taken. sb is
 *              that of the function: MAX_BPF_STACK below its caller's
 *   map<i>     mutable i32: handle of map i, set before a run; a register naming the map holds it
 *   base<i>    mutable i32: address of element 0 of an array whose values are all in memory, else 0:
 *              then lookups go through h1. For direct access it is always set.
 *   seen<i>    mutable i32: address of a byte per element; an inlined lookup sets bit 0 of its element's
 * Instructions are paid for from `fuel` at function entry and on jumps back; with too little left it
 * becomes -1 and the program traps. A handle of a function is its subprogram's number + 1.
 */
export interface CompiledCode {
  wasm: Uint8Array<ArrayBuffer>;
  /** Pairs of an offset in the wasm bytes and its instruction, by ascending offset. */
  sourceMap: Uint32Array;
  /** Helpers that it imports. */
  helpers: readonly HelperName[];
}

/**
 * Types of arguments: i a 32-bit number or an address or a handle, l a 64-bit number, b the frame
 * pointer of the caller (not a register; last, for helpers that call back). Of the answer: i is
 * sign-extended into r0, p zero-extended, l as it is, v leaves 0.
 */
export interface Signature {
  args: string;
  ret: "i" | "p" | "l" | "v";
}

/** The helpers that can run. bpf_loop() and bpf_tail_call() run, too: they are compiled in. */
export const HELPERS: Readonly<Partial<Record<HelperName, Signature>>> = {
  map_lookup_elem: { args: "ii", ret: "p" },
  map_update_elem: { args: "iiil", ret: "i" },
  map_delete_elem: { args: "ii", ret: "i" },
  ktime_get_ns: { args: "", ret: "l" },
  trace_printk: { args: "iilll", ret: "i" },
  get_prandom_u32: { args: "", ret: "p" },
  get_smp_processor_id: { args: "", ret: "p" },
  skb_store_bytes: { args: "iiiil", ret: "i" },
  l3_csum_replace: { args: "iilll", ret: "i" },
  l4_csum_replace: { args: "iilll", ret: "i" },
  skb_vlan_push: { args: "iii", ret: "i" },
  skb_vlan_pop: { args: "i", ret: "i" },
  redirect: { args: "il", ret: "i" },
  perf_event_output: { args: "iilii", ret: "i" },
  skb_load_bytes: { args: "iiii", ret: "i" },
  csum_diff: { args: "iiiil", ret: "l" },
  get_hash_recalc: { args: "i", ret: "p" },
  skb_change_tail: { args: "iil", ret: "i" },
  skb_pull_data: { args: "ii", ret: "i" },
  csum_update: { args: "il", ret: "l" },
  set_hash_invalid: { args: "i", ret: "v" },
  get_numa_node_id: { args: "", ret: "p" },
  skb_change_head: { args: "iil", ret: "i" },
  xdp_adjust_head: { args: "ii", ret: "i" },
  set_hash: { args: "il", ret: "l" },
  redirect_map: { args: "iil", ret: "i" },
  xdp_adjust_meta: { args: "ii", ret: "i" },
  xdp_adjust_tail: { args: "ii", ret: "i" },
  skb_load_bytes_relative: { args: "iiiil", ret: "i" },
  map_push_elem: { args: "iil", ret: "i" },
  map_pop_elem: { args: "ii", ret: "i" },
  map_peek_elem: { args: "ii", ret: "i" },
  spin_lock: { args: "i", ret: "v" },
  spin_unlock: { args: "i", ret: "v" },
  jiffies64: { args: "", ret: "l" },
  ktime_get_boot_ns: { args: "", ret: "l" },
  ringbuf_output: { args: "iiil", ret: "i" },
  ringbuf_reserve: { args: "iil", ret: "p" },
  ringbuf_submit: { args: "il", ret: "v" },
  ringbuf_discard: { args: "il", ret: "v" },
  ringbuf_query: { args: "il", ret: "l" },
  ktime_get_coarse_ns: { args: "", ret: "l" },
  for_each_map_elem: { args: "iiilb", ret: "i" },
  strncmp: { args: "iii", ret: "i" },
  xdp_get_buff_len: { args: "i", ret: "l" },
  xdp_load_bytes: { args: "iiii", ret: "i" },
  xdp_store_bytes: { args: "iiii", ret: "i" },
  map_lookup_percpu_elem: { args: "iii", ret: "p" },
  ktime_get_tai_ns: { args: "", ret: "l" },
};

/** The name of a helper's import: short, for every module repeats it. */
export const helperImport = (name: HelperName): string => `h${BPF_FUNC[name]}`;

/** A lookup whose value is only tested for NULL and added to without fetch: import "add_lookup". */
export const ADD_LOOKUP: Signature = { args: "ii", ret: "p" };
