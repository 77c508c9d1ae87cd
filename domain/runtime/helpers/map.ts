import { ERRNO } from "../../errno.ts";
import { MAX_BPF_STACK } from "../../isa/limits.ts";
import { NONE, READ, round8 } from "../arena.ts";
import type { RunMap } from "../maps/map.ts";
import type { Helpers, Host, ProgramCallback } from "./helper.ts";

/** Helpers on map elements (kernel/bpf/helpers.c, map_iter.c). */

function checkKey(host: Host, handle: number, key: number): RunMap {
  const map = host.run.map(handle);
  host.arena.checkReadable(key, map.view.key_size);
  return map;
}

function elementHelpers(host: Host): Helpers {
  return {
    map_lookup_elem: (handle: number, key: number) =>
      checkKey(host, handle, key >>> 0).lookup(key >>> 0),
    map_update_elem: (handle: number, key: number, value: number, flags: bigint) => {
      const map = checkKey(host, handle, key >>> 0);
      host.arena.checkReadable(value >>> 0, map.view.value_size);
      return map.update(key >>> 0, value >>> 0, Number(BigInt.asUintN(64, flags)));
    },
    map_delete_elem: (handle: number, key: number) =>
      checkKey(host, handle, key >>> 0).delete(key >>> 0),
    map_lookup_percpu_elem: (handle: number, key: number, cpu: number) =>
      checkKey(host, handle, key >>> 0).lookupPercpu(key >>> 0, cpu >>> 0),
  };
}

function queueHelpers(host: Host): Helpers {
  const writable = (handle: number, value: number): RunMap => {
    const map = host.run.map(handle);
    host.arena.checkWritable(value, map.view.value_size);
    return map;
  };
  return {
    map_push_elem: (handle: number, value: number, flags: bigint) => {
      const map = host.run.map(handle);
      host.arena.checkReadable(value >>> 0, map.view.value_size);
      return map.push(value >>> 0, Number(BigInt.asUintN(64, flags)));
    },
    map_pop_elem: (handle: number, value: number) => writable(handle, value >>> 0).pop(value >>> 0),
    map_peek_elem: (handle: number, value: number) =>
      writable(handle, value >>> 0).peek(value >>> 0),
  };
}

/** bpf_spin_lock(), bpf_spin_unlock(): a run is alone, and its commit is one script. */
const lockHelpers: Helpers = {
  spin_lock: () => {},
  spin_unlock: () => {},
};

export const mapHelpers = (host: Host): Helpers => ({
  ...elementHelpers(host),
  ...queueHelpers(host),
  ...lockHelpers,
});

/** Creates for_each_map_elem for a program, whose callback it calls. */
export function createForEach(host: Host, callback: () => ProgramCallback) {
  return (handle: number, fn: number, ctx: number, flags: bigint, sb: number): number => {
    if (flags !== 0n) return -ERRNO.EINVAL;
    const map = host.run.map(handle);
    const { arena } = host;
    const size = map.view.key_size;
    const key = arena.reserve(size);
    arena.setAccess(key, size, READ);
    const [r1, r2, r4] = [BigInt(map.handle), BigInt(key), BigInt(ctx >>> 0)];
    const visited = map.visitElements((bytes, value) => {
      arena.bytes.set(bytes, key);
      return callback()(fn, r1, r2, BigInt(value), r4, 0n, sb - MAX_BPF_STACK) !== 0n;
    });
    arena.setAccess(key, round8(size), NONE);
    arena.deferFree(key, size);
    return visited;
  };
}
