import { type Packed, pack } from "../../msgpack.ts";
import type { Op, Read } from "../job.ts";
import type { Seen } from "./view.ts";

/** What a run read and did, as domain/lua/run_commit.lua takes it. */

function packedRead(read: Read, maps: ReadonlyMap<number, Seen>): Packed {
  if ("full" in read) return [read.map, "full"];
  if ("unchanged" in read) return [read.map, "unchanged", maps.get(read.map)?.revision ?? 0];
  if ("present" in read) return [read.map, "present", read.key, read.present ? 1 : 0];
  const matched = read.matched ? [read.matched] : [];
  return [read.map, "value", read.key, read.value ?? false, ...matched];
}

function numbers(delta: bigint, size: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt.asUintN(64, delta));
  return out.subarray(0, size);
}

function packedOp(op: Op): Packed {
  switch (op.op) {
    case "update":
      return [op.map, op.op, op.key, op.value, op.flags];
    case "write":
      return [op.map, op.op, op.key, op.value];
    case "add":
      return [op.map, op.op, op.key, op.offset, numbers(op.delta, op.size)];
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

/** Whether a push may find no room: a Bloom filter takes all. */
const refuses = (seen: Seen | undefined) => seen?.view.map_type !== "bloom_filter";

/** Map by map the elements there were, and how many may be new. */
function made(reads: readonly Read[], ops: readonly Op[], maps: ReadonlyMap<number, Seen>) {
  const there = new Set<string>();
  const name = (map: number, key: Uint8Array) => `${map} ${Buffer.from(key).toString("latin1")}`;
  for (const read of reads) {
    if ("value" in read && read.value !== null) there.add(name(read.map, read.matched ?? read.key));
    if ("present" in read && read.present) there.add(name(read.map, read.key));
  }
  const counts = new Map<number, number>();
  for (const op of ops) {
    const pushed = op.op === "push" && op.flags === 0 && refuses(maps.get(op.map));
    const updated = op.op === "update" && !there.has(name(op.map, op.key));
    if (pushed || updated) counts.set(op.map, (counts.get(op.map) ?? 0) + 1);
  }
  return [...counts].map(([map, count]) => [map, maps.get(map)?.view.entries ?? 0, count]);
}

/** What run_commit.lua compares and does. */
export function packCommit(
  reads: readonly Read[],
  ops: readonly Op[],
  maps: ReadonlyMap<number, Seen>,
): Buffer {
  return pack([
    reads.map((read) => packedRead(read, maps)),
    ops.map(packedOp),
    made(reads, ops, maps),
  ]);
}
