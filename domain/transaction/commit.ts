import { type Packed, pack } from "../redis/msgpack.ts";
import { READ_SET, WRITE_SET } from "../redis/records.ts";
import type { ReadSetEntry, WriteSetEntry } from "../runtime/job.ts";
import type { MapSnapshot } from "./map_snapshot.ts";

/** Encodes the read set and the write set of a run for domain/lua/test_run/run_commit.lua. */

type Fields = Readonly<Record<string, Packed | undefined>>;

/** Puts the fields in their order; an optional one is the last. */
function encodeEntry(order: readonly string[], fields: Fields): Packed {
  const entry: Packed[] = [];
  for (const name of order) {
    const value = fields[name];
    if (value !== undefined) entry.push(value);
  }
  return entry;
}

function encodeRead(read: ReadSetEntry, maps: ReadonlyMap<number, MapSnapshot>): Packed {
  const { map } = read;
  if ("full" in read) return encodeEntry(READ_SET.full, { map, kind: "full" });
  if ("producer" in read) {
    const { producer, consumer } = read;
    return encodeEntry(READ_SET.positions, { map, kind: "positions", producer, consumer });
  }
  if ("unchanged" in read) {
    const revision = maps.get(map)?.revision ?? 0;
    return encodeEntry(READ_SET.unchanged, { map, kind: "unchanged", revision });
  }
  if ("present" in read) {
    const present = read.present ? 1 : 0;
    return encodeEntry(READ_SET.present, { map, kind: "present", key: read.key, present });
  }
  const { key, value, matched } = read;
  return encodeEntry(READ_SET.value, { map, kind: "value", key, value: value ?? false, matched });
}

/** The low `size` bytes of a number, little-endian. */
function encodeAddend(delta: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, delta));
  return bytes.subarray(0, size);
}

function encodeWrite(write: WriteSetEntry): Packed {
  const { op: kind, map } = write;
  const order = WRITE_SET[kind];
  switch (write.op) {
    case "add": {
      const { key, offset, delta, size } = write;
      return encodeEntry(order, { map, kind, key, offset, addend: encodeAddend(delta, size) });
    }
    case "output":
      return encodeEntry(order, { map, kind, value: write.data, flags: write.flags });
    default: {
      const { op: _, ...fields } = write;
      return encodeEntry(order, { kind, ...fields });
    }
  }
}

export function packCommit(
  reads: readonly ReadSetEntry[],
  writes: readonly WriteSetEntry[],
  maps: ReadonlyMap<number, MapSnapshot>,
): Buffer {
  return pack([reads.map((read) => encodeRead(read, maps)), writes.map(encodeWrite)]);
}
