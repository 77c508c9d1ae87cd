import { toBuffer } from "../bytes.ts";
import { einval, type FieldPath } from "../errno.ts";

/** Converts contexts between bytes and the fields of linux/bpf.h that a caller may set and read. */

/** `count` is the length of an array. */
type ContextField = readonly [offset: number, size: 4 | 8, count?: number];

interface Struct {
  bytes: number;
  fields: Readonly<Record<string, ContextField>>;
}

const SK_BUFF: Struct = {
  bytes: 192,
  fields: {
    mark: [8, 4],
    priority: [32, 4],
    ingress_ifindex: [36, 4],
    ifindex: [40, 4],
    cb: [48, 4, 5],
    tstamp: [152, 8],
    wire_len: [160, 4],
    gso_segs: [164, 4],
    gso_size: [176, 4],
    hwtstamp: [184, 8],
  },
};

const XDP_MD: Struct = {
  bytes: 24,
  fields: {
    data: [0, 4],
    data_end: [4, 4],
    data_meta: [8, 4],
    ingress_ifindex: [12, 4],
    rx_queue_index: [16, 4],
    egress_ifindex: [20, 4],
  },
};

const contextStructOf = (progType: string): Struct => (progType === "xdp" ? XDP_MD : SK_BUFF);

export type FieldValue = number | string | number[];
export type ContextFields = Record<string, FieldValue>;

function writeField(
  context: Buffer,
  [offset, size, count]: ContextField,
  value: FieldValue,
  path: FieldPath,
): void {
  const items = Array.isArray(value) ? value : [value];
  if (Array.isArray(value) !== (count !== undefined) || items.length > (count ?? 1)) {
    throw einval(
      count === undefined ? "must be one number" : `must be an array of up to ${count} numbers`,
      path,
    );
  }
  for (const [i, item] of items.entries()) {
    const number = BigInt(item);
    if (number >> BigInt(8 * size) !== 0n)
      throw einval(`must fit into ${size} bytes, got ${item}`, path);
    if (size === 8) context.writeBigUInt64LE(number, offset);
    else context.writeUInt32LE(Number(number), offset + 4 * i);
  }
}

/** @param packet its size, the default of data_end. @throws EINVAL with the field. */
export function encodeContext(progType: string, values: ContextFields, packet: number): Buffer {
  const { bytes, fields } = contextStructOf(progType);
  const context = Buffer.alloc(bytes);
  if (fields.data_end) context.writeUInt32LE(packet, fields.data_end[0]);
  for (const [name, value] of Object.entries(values)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const path = ["ctx_in", name];
    if (!field) throw einval(`unknown field; allowed: ${Object.keys(fields).join(", ")}`, path);
    writeField(context, field, value, path);
  }
  return context;
}

/** Fields of 8 bytes are decimal strings. */
export function decodeContext(progType: string, context: Uint8Array): ContextFields {
  const { fields } = contextStructOf(progType);
  const buffer = toBuffer(context);
  return Object.fromEntries(
    Object.entries(fields).map(([name, [offset, size, count]]) => {
      if (size === 8) return [name, String(buffer.readBigUInt64LE(offset))];
      const words = Array.from({ length: count ?? 1 }, (_, i) =>
        buffer.readUInt32LE(offset + 4 * i),
      );
      return [name, count === undefined ? (words[0] ?? 0) : words];
    }),
  );
}
