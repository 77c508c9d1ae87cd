import { isIPv4, isIPv6 } from "node:net";
import { einval, type FieldPath } from "../../domain/errno.ts";

/**
 * Keys and values as text: plain hex, or typed literals joined with "+". Nothing is padded or cut; the
 * map checks the length.
 */

/** Bytes, or a single one: a million buffers take longer than all the rest. */
type Bytes = Buffer | number;

function join(parts: readonly Bytes[]): Buffer {
  const size = parts.reduce<number>(
    (sum, part) => sum + (typeof part === "number" ? 1 : part.length),
    0,
  );
  const joined = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    if (typeof part === "number") joined[at++] = part;
    else at += part.copy(joined, at);
  }
  return joined;
}

/** Integers that every type has. */
const SMALL = /^(?:\d|[1-9]\d)$/;
const INTEGER = /^(-?(0|[1-9]\d*)|0x[0-9a-fA-F]+)$/;

function integer(bits: number, signed: boolean, bigEndian: boolean) {
  const size = bits / 8;
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  // BigInt() takes the square of the time for twice the digits.
  const digits = new RegExp(`^(?:-?\\d{1,${String(high).length}}|0x0*[\\da-fA-F]{1,${2 * size}})$`);
  return (text: string): Bytes => {
    if (bits === 8 && SMALL.test(text)) return Number(text);
    if (!INTEGER.test(text)) throw new Error("must be an integer in decimal or with 0x");
    const value = digits.test(text) ? BigInt(text) : undefined;
    if (value === undefined || value < low || value > high)
      throw new Error(`must be from ${low} to ${high}`);
    const bytes = Buffer.allocUnsafe(8);
    if (bigEndian) bytes.writeBigUInt64BE(BigInt.asUintN(bits, value));
    else bytes.writeBigUInt64LE(BigInt.asUintN(bits, value));
    return bigEndian ? bytes.subarray(8 - size) : bytes.subarray(0, size);
  };
}

function ip4(text: string): Buffer {
  if (!isIPv4(text)) throw new Error("must be an IPv4 address");
  return Buffer.from(text.split(".").map(Number));
}

/** Expands an IPv4 tail to two groups, and "::" to the missing zeros. */
function ip6(text: string): Buffer {
  if (!isIPv6(text) || text.includes("%")) throw new Error("must be an IPv6 address without zone");
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const hex = tail
    ? tail[1] +
      ip4(tail[2] ?? "")
        .toString("hex")
        .replace(/^..../, "$&:")
    : text;
  const [head = "", rest] = hex.split("::");
  const groups = (part: string) => part.split(":").filter(Boolean);
  const left = groups(head);
  const right = groups(rest ?? "");
  const zeros = new Array<string>(8 - left.length - right.length).fill("0");
  const all = [...left, ...zeros, ...right].map((group) => group.padStart(4, "0"));
  return Buffer.from(all.join(""), "hex");
}

function mac(text: string): Buffer {
  if (!/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text))
    throw new Error("must be a MAC address such as 02:00:00:00:00:01");
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

const FORMS =
  "must be hex or a literal (u8: to u64:, i8: to i64:, be16: to be64:, ip4:, ip6:, mac:, str:, hex:, b64:)";

function hex(text: string): Buffer {
  if (/^0x/i.test(text)) throw new Error("hex has no 0x; write a number with its type, as u32:0x1");
  if (/[^0-9a-fA-F]/.test(text)) throw new Error(FORMS);
  if (text.length % 2 > 0) {
    throw new Error(
      "hex must have an even number of digits; write a number with its type, as u32:5",
    );
  }
  return Buffer.from(text, "hex");
}

function base64(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) throw new Error("must be canonical base64 with padding");
  return bytes;
}

const LITERALS = new Map<string, (text: string) => Bytes>([
  ["str", (text) => Buffer.from(text, "utf8")],
  ["hex", hex],
  ["b64", base64],
  ["ip4", ip4],
  ["ip6", ip6],
  ["mac", mac],
]);
for (const bits of [8, 16, 32, 64]) {
  LITERALS.set(`u${bits}`, integer(bits, false, false));
  LITERALS.set(`i${bits}`, integer(bits, true, false));
  if (bits > 8) LITERALS.set(`be${bits}`, integer(bits, false, true));
}
/** Characters of the longest kind. */
const KIND_MAX = 4;
const KIND = /^(u8|u16|u32|u64|i8|i16|i32|i64|be16|be32|be64|ip4|ip6|mac|str|hex|b64):/;

/** A "+" joins two literals only if a literal follows, because base64 can contain one. */
const JOINT = new RegExp(`\\+(?=${KIND.source.slice(1).replace("(", "(?:")})`);
const PLAIN_HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** A text without a kind is hex. */
function parsePart(part: string): Bytes {
  const colon = part.slice(0, KIND_MAX + 1).indexOf(":");
  const parse = colon < 0 ? undefined : LITERALS.get(part.slice(0, colon));
  return parse ? parse(part.slice(colon + 1)) : hex(part);
}

/** @throws EINVAL for more literals than bytes, before they are parsed. */
function splitLiterals(text: string, field: FieldPath, size: number | undefined): string[] {
  if (size === undefined) return text.split(JOINT);
  const parts = text.split(JOINT, size + 1);
  if (parts.length <= size) return parts;
  throw einval(`must have at most ${size} literals, one for each byte, got more`, field);
}

/**
 * @param size bytes that there must be, if it is known.
 * @throws EINVAL that quotes the wrong part and names its position.
 */
export function parseBytes(text: string, field: FieldPath, size?: number): Buffer {
  if (PLAIN_HEX.test(text)) return Buffer.from(text, "hex");
  let at = 0;
  const parts = splitLiterals(text, field, size).map((part) => {
    try {
      return parsePart(part);
    } catch (error) {
      const hint = part.includes(" ") ? "; in a URL write + as %2B" : "";
      const why = `${(error as Error).message}${hint}`;
      throw einval(`at character ${at + 1}, ${JSON.stringify(part.slice(0, 60))}: ${why}`, field);
    } finally {
      at += part.length + 1;
    }
  });
  return join(parts);
}

/** The value of a slot in the kernel's form: the fd in four bytes, little-endian. */
export function fdBytes(fd: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(fd);
  return bytes;
}
