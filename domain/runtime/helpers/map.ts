import { FRAME_BYTES } from "../../compiler/abi.ts";
import { ERRNO } from "../../errno.ts";
import { BPF_FUNC } from "../../isa/helpers/index.ts";
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
    // bpf_map_lookup_elem()
    [BPF_FUNC.map_lookup_elem]: (handle: number, key: number) =>
      checkKey(host, handle, key >>> 0).lookup(key >>> 0),
    // bpf_map_update_elem()
    [BPF_FUNC.map_update_elem]: (handle: number, key: number, value: number, flags: bigint) => {
      const map = checkKey(host, handle, key >>> 0);
      host.arena.checkReadable(value >>> 0, map.view.value_size);
      return map.update(key >>> 0, value >>> 0, Number(BigInt.asUintN(64, flags)));
    },
    // bpf_map_delete_elem()
    [BPF_FUNC.map_delete_elem]: (handle: number, key: number) =>
      checkKey(host, handle, key >>> 0).delete(key >>> 0),
    // bpf_map_lookup_percpu_elem()
    [BPF_FUNC.map_lookup_percpu_elem]: (handle: number, key: number, cpu: number) =>
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
    // bpf_map_push_elem()
    [BPF_FUNC.map_push_elem]: (handle: number, value: number, flags: bigint) => {
      const map = host.run.map(handle);
      host.arena.checkReadable(value >>> 0, map.view.value_size);
      return map.push(value >>> 0, Number(BigInt.asUintN(64, flags)));
    },
    // bpf_map_pop_elem()
    [BPF_FUNC.map_pop_elem]: (handle: number, value: number) =>
      writable(handle, value >>> 0).pop(value >>> 0),
    // bpf_map_peek_elem()
    [BPF_FUNC.map_peek_elem]: (handle: number, value: number) =>
      writable(handle, value >>> 0).peek(value >>> 0),
  };
}

/** bpf_spin_lock(), bpf_spin_unlock(): a run is alone, and its commit is one script. */
const lockHelpers: Helpers = {
  [BPF_FUNC.spin_lock]: () => {},
  [BPF_FUNC.spin_unlock]: () => {},
};

export const mapHelpers = (host: Host): Helpers => ({
  ...elementHelpers(host),
  ...queueHelpers(host),
  ...lockHelpers,
});

/** bpf_for_each_map_elem(), of a program with this callback. */
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
      return callback()(fn, r1, r2, BigInt(value), r4, 0n, sb - FRAME_BYTES) !== 0n;
    });
    arena.setAccess(key, round8(size), NONE);
    arena.deferFree(key, size);
    return visited;
  };
}
