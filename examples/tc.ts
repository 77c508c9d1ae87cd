/** What the demo's processes agree upon: names in the tree, slots, packets, and how they are told of. */

export const GLOBALS = "/tc/globals";
export const FILTERS = "/tc/filters";
export const POLICIES = "/tc/policies";

/** Slots of jmp_tc (bpf/filter.h). */
export const ENTRY = "u32:0";
export const VERDICT_OF = { 1: "u32:1", 2: "u32:2" } as const;

/** What a classifier answers (linux/pkt_cls.h), and what a packet gets that met stages of two chains. */
export const TC_ACT_OK = 0;
export const TC_ACT_SHOT = 2;
export const TORN = 99;

/** An Ethernet frame of zeros but for its type, and the length that an IP header takes at least. */
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

/** What became of a packet; programs are the ids of those that it went through. */
export interface ForwardOutcome {
  protocol: Protocol;
  retval: number;
  mark: number;
  stamp: number;
  programs: number[];
}

/** Outcomes alike are told once. */
export interface PacketCounts extends ForwardOutcome {
  packets: number;
}

/** Of bpf/filter.c and bpf/policy.c. */
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
