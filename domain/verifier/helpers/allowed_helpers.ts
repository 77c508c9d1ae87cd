// Which helpers a program may call: by its type (get_func_proto of each type in Linux 6.18, for a
// loader with all capabilities), and by its licence.

import type { VerifierOptions } from "../verdict.ts";

/** Numbers and stretches of numbers. */
function numbers(text: string): number[] {
  return text
    .trim()
    .split(/\s+/)
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

const EVERYONE = numbers(`
  1-3 5-8 12 14-17 22 35 37 42 55 80 87-89 93-94 105-106 109 112-115 117-118 120 123 125 130-134
  141 148-149 153-154 156-158 164-165 169-172 175-177 180-182 191 194-195 197-203 208-211`);

const TRACING = "4 25 27 45 67 173-174";
const SCHED = `9-11 13 18-21 23-26 28-34 38-41 43 46-48 50 66 68-69 79 83-86 95-100 107-108 110
  122 124 135-140 151-152 155 160 163 178 192 196 204-207`;

/** Beside those for everyone. All of them, where it depends on the attach type. */
const MORE: Readonly<Record<string, string>> = {
  socket_filter: "25-26 46-47 68 122 136-140 160 178 196",
  kprobe: TRACING,
  sched_cls: SCHED,
  sched_act: SCHED,
  tracepoint: TRACING,
  xdp: "23 25 28 44 51 54 65 69 84-86 99-100 110 136-140 160 163 178 188-190 196 204-207",
  perf_event: `${TRACING} 56 119`,
  cgroup_skb: "25-26 46-47 68 79 81 83-86 95-99 107-108 122 128-129 136-140 160 178 196",
  cgroup_sock: "25 46 81 107 122 160 186-187",
  lwt_in: "24-26 28 33-34 39 73 136-140 160 178 196",
  lwt_out: "24-26 28 33-34 39 136-140 160 178 196",
  lwt_xmit: "9-11 13 20-21 23-26 28-30 33-34 38-41 43 73 135-140 160 178 196",
  sock_ops: "25 46 49 53 57 59 70 81 96 107-108 122 136-140 142-144 160 178 196",
  sk_skb: "9 25-26 38-39 43 46-47 50 52 72 84-86 99 136-140 160 178 196",
  cgroup_device: "25 81",
  sk_msg: "25 60-63 71 90-91 107-108 122 136-140 160 178 196",
  raw_tracepoint: TRACING,
  cgroup_sock_addr: "25 46 49 57 64 81 84-86 99 107-108 122 136-140 160 178 186-187 196",
  lwt_seg6local: "24-26 28 33-34 39 74-76 136-140 160 178 196",
  sk_reuseport: "26 46 68 82 160",
  flow_dissector: "26 136-140 160 178 196",
  cgroup_sysctl: "25 81 101-104 160",
  raw_tracepoint_writable: TRACING,
  cgroup_sockopt: "25 49 57 81 96 107-108 122 186-187",
  sk_lookup: "25 86 124 136-140 160 178 196",
  syscall: `4 25 27 45-46 67 107-108 111 121 136-140 147 162 166-168 173 178-179 188 196`,
  netfilter: "",
};

const GPL_ONLY = new Set(
  numbers(`4 6 22 25 35 45 55-56 67 69 100 110-115 119 121 158 163 165 169-173 175-177 191
    204-207`),
);

/** For those with CAP_PERFMON (bpf_base_func_proto and the like). */
const PERFMON = new Set(
  numbers("6 16 22 35 55 109 112-115 117 136-141 148-149 158 165 175-178 180 191 196"),
);

const sets = new Map<string, ReadonlySet<number>>();

/** The attach types that they are for, where not all are. */
const ATTACHED: Readonly<Record<string, Readonly<Record<number, readonly number[]>>>> = {
  cgroup_sock_addr: { 64: [10, 11] },
  cgroup_sockopt: { 49: [22], 57: [22] },
};

/** Never of a program type whose helpers are not known. */
export function isRefused(helper: number, options: VerifierOptions): boolean {
  const { progType, expectedAttachType: attach, perfmon = true } = options;
  if (!perfmon && PERFMON.has(helper)) return true;
  const more = progType === undefined ? undefined : MORE[progType];
  if (progType === undefined || more === undefined) return false;
  const set = sets.get(progType) ?? new Set([...EVERYONE, ...numbers(more)]);
  sets.set(progType, set);
  const attached = attach === undefined ? undefined : ATTACHED[progType]?.[helper];
  return !set.has(helper) || attached?.includes(attach as number) === false;
}

export const isGplOnly = (helper: number): boolean => GPL_ONLY.has(helper);
