import { type ContextLayout, field } from "./context_field.ts";

/** The contexts of tracing programs, whose fields are numbers (bpf_trace.c of Linux 6.18). */

/** struct pt_regs of x86-64. */
const REGISTERS_BYTES = 168;
/** PERF_MAX_TRACE_SIZE; the first 8 bytes are not for programs. */
const TRACE_BYTES = 8192;
/** MAX_BPF_FUNC_ARGS words. */
const ARGUMENT_BYTES = 96;

export const TRACING_CONTEXTS: Readonly<Record<string, ContextLayout>> = {
  kprobe: { reads: [field(0, REGISTERS_BYTES, "any")], writes: [] },
  tracepoint: { reads: [field(8, TRACE_BYTES - 8, "any")], writes: [] },
  raw_tracepoint: { reads: [field(0, ARGUMENT_BYTES, "any")], writes: [] },
  perf_event: {
    reads: [field(0, REGISTERS_BYTES, "longs"), field(REGISTERS_BYTES, 16, "any")],
    writes: [],
  },
};
