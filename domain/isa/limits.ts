/** Limits that Linux 6.18 puts on programs, by the names of its headers. */

/** Bytes of a frame on the stack. */
export const MAX_BPF_STACK = 512;
/** Frames of one program on the stack at a time. */
export const MAX_CALL_FRAMES = 8;
/** Bytes of struct bpf_func_info and struct bpf_line_info. */
export const FUNC_INFO_BYTES = 8;
export const LINE_INFO_BYTES = 16;
export const MAX_TAIL_CALL_CNT = 33;
export const BPF_MAX_SUBPROGS = 256;
/** Rounds of one bpf_loop(), and of all may_goto of a frame. */
export const BPF_MAX_LOOPS = 1 << 23;
export const BPF_COMPLEXITY_LIMIT_INSNS = 1_000_000;
