import type { Arena } from "../arena.ts";
import type { Job } from "../job.ts";
import type { RunInput } from "./context.ts";
import { Skb, type SkbTraits } from "./skb.ts";
import { SK_BUFF } from "./skb_input.ts";
import { Xdp } from "./xdp.ts";

/** The program types that can run, each with its kind of context. */

const PRIORITY: [number, number] = [SK_BUFF.priority, 4];
const CB: [number, number] = [SK_BUFF.cb, 20];
const TSTAMP: [number, number] = [SK_BUFF.tstamp, 8];
/** mark, without and with queue_mapping. */
const MARK: [number, number] = [SK_BUFF.mark, 4];
const MARK_QUEUE: [number, number] = [SK_BUFF.mark, 8];
/** ifindex and tc_index; tc_classid. */
const TC_INDEX: [number, number] = [SK_BUFF.ifindex, 8];
const TC_CLASSID: [number, number] = [72, 4];

const TC: SkbTraits = {
  hasEthernetHeader: true,
  hasPacketPointers: true,
  hasMetadata: true,
  hasSocket: false,
  writable: [MARK_QUEUE, PRIORITY, TC_INDEX, CB, TC_CLASSID, TSTAMP],
};
const SOCKET_FILTER: SkbTraits = {
  hasEthernetHeader: false,
  hasPacketPointers: false,
  hasMetadata: false,
  hasSocket: false,
  writable: [CB],
};
const CGROUP_SKB: SkbTraits = {
  hasEthernetHeader: false,
  hasPacketPointers: true,
  hasMetadata: false,
  hasSocket: true,
  writable: [MARK, PRIORITY, CB, TSTAMP],
};
const LWT: SkbTraits = {
  hasEthernetHeader: false,
  hasPacketPointers: true,
  hasMetadata: false,
  hasSocket: false,
  writable: [MARK, PRIORITY, CB],
};

type OpenContext = (arena: Arena, job: Job) => RunInput;

const skb =
  (traits: SkbTraits): OpenContext =>
  (arena, { data, ctx }) =>
    new Skb(arena, traits, data, ctx);

const TYPES: Readonly<Record<string, OpenContext>> = {
  sched_cls: skb(TC),
  sched_act: skb(TC),
  socket_filter: skb(SOCKET_FILTER),
  cgroup_skb: skb(CGROUP_SKB),
  lwt_in: skb(LWT),
  lwt_out: skb(LWT),
  lwt_xmit: skb(LWT),
  xdp: (arena, { data, ctx }) => new Xdp(arena, data, ctx),
};

/** @throws InputRefused; TypeError for a program type that cannot run. */
export function openContext(arena: Arena, job: Job): RunInput {
  const open = TYPES[job.prog_type];
  if (open === undefined) throw new TypeError(`programs of type ${job.prog_type} cannot run`);
  return open(arena, job);
}
