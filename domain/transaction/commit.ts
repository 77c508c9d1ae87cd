import { type Packed, pack } from "../redis/msgpack.ts";
import type { ReadSetEntry, WriteSetEntry } from "../runtime/job.ts";
import type { MapSnapshot } from "./map_snapshot.ts";

/** What a run read and did, as domain/lua/test_run/run_commit.lua takes it. */

function encodeRead(read: ReadSetEntry, maps: ReadonlyMap<number, MapSnapshot>): Packed {
  if ("full" in read) return [read.map, "full"];
  if ("producer" in read) return [read.map, "positions", read.producer, read.consumer];
  if ("unchanged" in read) return [read.map, "unchanged", maps.get(read.map)?.revision ?? 0];
  if ("present" in read) return [read.map, "present", read.key, read.present ? 1 : 0];
  const matched = read.matched ? [read.matched] : [];
  return [read.map, "value", read.key, read.value ?? false, ...matched];
}

function encodeDelta(delta: bigint, size: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt.asUintN(64, delta));
  return out.subarray(0, size);
}

function encodeWrite(op: WriteSetEntry): Packed {
  switch (op.op) {
    case "update":
      return [op.map, op.op, op.key, op.value, op.flags];
    case "write":
      return [op.map, op.op, op.key, op.value];
    case "add":
      return [op.map, op.op, op.key, op.offset, encodeDelta(op.delta, op.size)];
    case "delete":
    case "touch":
      return [op.map, op.op, op.key];
    case "push":
      return [op.map, op.op, op.value, op.flags];
    case "pop":
      return [op.map, op.op];
    case "output":
      return [op.map, op.op, op.data, op.flags];
  }
}

/** What run_commit.lua compares and does. */
export function packCommit(
  reads: readonly ReadSetEntry[],
  ops: readonly WriteSetEntry[],
  maps: ReadonlyMap<number, MapSnapshot>,
): Buffer {
  return pack([reads.map((read) => encodeRead(read, maps)), ops.map(encodeWrite)]);
}
