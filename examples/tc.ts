/** Shared by the demo's processes: names in the tree, slots, packets, and the form of their reports. */

export const GLOBALS = "/tc/globals";
export const FILTERS = "/tc/filters";
export const POLICIES = "/tc/policies";

/** Slots of jmp_tc (bpf/filter.h). */
export const ENTRY = "u32:0";
export const VERDICT_OF = { 1: "u32:1", 2: "u32:2" } as const;

/** Return values of classifiers (linux/pkt_cls.h). TORN is ours: a packet went through parts of two chains. */
export const TC_ACT_OK = 0;
export const TC_ACT_SHOT = 2;
export const TORN = 99;

/** An Ethernet frame of zeros except for its type, long enough for an IP header. */
function frame(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUInt16BE(type, 12);
  return bytes;
}

export const PACKETS = { ipv4: frame(0x0800, 34), ipv6: frame(0x86dd, 54) };
export type Protocol = keyof typeof PACKETS;

/** An element of the map counters. */
export interface Counter {
  packets: number;
  bytes: number;
}

/** The outcome of a packet, with the ids of the programs that it went through. */
export interface ForwardOutcome {
  protocol: Protocol;
  retval: number;
  mark: number;
  stamp: number;
  programs: number[];
}

/** Equal outcomes, counted. */
export interface PacketCounts extends ForwardOutcome {
  packets: number;
}

/** Ids of the maps and programs of bpf/filter.c and bpf/policy.c. */
export interface ProgramIds {
  maps: Record<"jmp_tc" | "map_sh" | "counters" | "chains", number>;
  progs: Record<
    | ("ingress" | "egress" | "allow" | "deny")
    | ("classify_1" | "verdict_1" | "classify_2" | "verdict_2"),
    number
  >;
}

/** Names of programs, as "ingress > allow". */
export function route({ progs }: ProgramIds, programs: readonly number[]): string {
  const nameOf = (id: number) => Object.entries(progs).find(([, own]) => own === id)?.[0] ?? id;
  return programs.map(nameOf).join(" > ");
}
