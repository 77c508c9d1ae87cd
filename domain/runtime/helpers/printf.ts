/**
 * Formats the text of bpf_trace_printk() (kernel/bpf/helpers.c, bpf_bprintf_prepare()): flags and
 * a width, then d i u x X with l or ll, s, c, p.
 */

/** Reads a C string. */
type StringAt = (address: bigint) => string;

const SPEC =
  /%(?:%|([0+\- ]*)([1-9]\d*)?(?:(l{0,2})([diuxX])|([sc])(?=$|\s|[!-/:-@[-`{-~])|(p)[xK]?(?=$|\s|[!-/:-@[-`{-~])))/y;

/** The longest line. */
const WIDTH_MAX = 1023;

/** The characters of isprint() and isspace(). */
const PRINTABLE = /^[\t-\r -~]*$/;

function formatNumber(raw: bigint, long: string, kind: string, flags: string): string {
  const bits = long === "" ? 32 : 64;
  if (kind === "x" || kind === "X") {
    const digits = BigInt.asUintN(bits, raw).toString(16);
    return kind === "X" ? digits.toUpperCase() : digits;
  }
  if (kind === "u") return BigInt.asUintN(bits, raw).toString();
  const value = BigInt.asIntN(bits, raw);
  const sign = flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  return value < 0n ? value.toString() : sign + value.toString();
}

function pad(text: string, flags: string, width: number, numeric: boolean): string {
  if (flags.includes("-")) return text.padEnd(width);
  if (!numeric || !flags.includes("0")) return text.padStart(width);
  const sign = /^[+\- ]/.exec(text)?.[0] ?? "";
  return sign + text.slice(sign.length).padStart(width - sign.length, "0");
}

/** Returns undefined for a format that Linux rejects, and for missing arguments. */
export function printf(format: string, args: readonly bigint[], stringAt: StringAt) {
  if (!PRINTABLE.test(format)) return undefined;
  let out = "";
  let nextArg = 0;
  for (let at = 0; at < format.length; at++) {
    if (format[at] !== "%") {
      out += format[at];
      continue;
    }
    SPEC.lastIndex = at;
    const spec = SPEC.exec(format);
    if (spec === null) return undefined;
    at += spec[0].length - 1;
    const [all, flags = "", width, long = "", kind, text, pointer] = spec;
    if (all === "%%") {
      out += "%";
      continue;
    }
    const raw = args[nextArg++];
    if (raw === undefined) return undefined;
    let item: string;
    if (kind !== undefined) item = formatNumber(raw, long, kind, flags);
    else if (pointer !== undefined) item = BigInt.asUintN(64, raw).toString(16).padStart(16, "0");
    else if (text === "s") item = stringAt(raw);
    else item = String.fromCharCode(Number(raw & 0xffn));
    out += pad(item, flags, Math.min(Number(width ?? 0), WIDTH_MAX), kind !== undefined);
  }
  return out;
}
