import { RunFailure } from "../fault.ts";
import { Ringbuf } from "../maps/types/ringbuf.ts";
import type { Helpers, Host } from "./helper.ts";

/** Helpers on ring buffers (kernel/bpf/ringbuf.c). */

export function ringbufHelpers(host: Host): Helpers {
  const ringbufAt = (handle: number): Ringbuf => {
    const map = host.run.map(handle);
    if (map instanceof Ringbuf) return map;
    throw new RunFailure("memory", "a ring buffer helper needs a ringbuf map");
  };
  const commit = (sample: number, flags: bigint, isSubmitted: boolean): void => {
    const found = host.run.rings.some((map) =>
      map.commit(sample >>> 0, Number(flags & 3n), isSubmitted),
    );
    if (!found) throw new RunFailure("memory", "not a reserved ring buffer record");
  };
  return {
    ringbuf_output: (handle: number, data: number, size: number, flags: bigint) => {
      host.arena.checkReadable(data >>> 0, size >>> 0);
      return ringbufAt(handle).output(data >>> 0, size >>> 0, Number(BigInt.asUintN(64, flags)));
    },
    ringbuf_reserve: (handle: number, size: number, flags: bigint) =>
      ringbufAt(handle).reserve(size >>> 0, Number(BigInt.asUintN(64, flags))),
    ringbuf_submit: (sample: number, flags: bigint) => commit(sample, flags, true),
    ringbuf_discard: (sample: number, flags: bigint) => commit(sample, flags, false),
    ringbuf_query: (handle: number, what: bigint) =>
      ringbufAt(handle).query(BigInt.asUintN(64, what)),
  };
}
