import type { Insn } from "../../isa/insn.ts";
import { BPF_MAX_SUBPROGS, FUNC_INFO_BYTES, LINE_INFO_BYTES } from "../../isa/limits.ts";
import type { InfoRecords, ProgBtf } from "../prog_btf.ts";
import { einval, type Refusal, refuse } from "../verdict.ts";
import { checkEarlyReturns } from "./structure.ts";

/** check_btf_info_early(), check_btf_info(): whether func_info and line_info fit the program. */

const MAX_RECORD = 252;
const INT_MAX = 0x7fff_ffff;

/** The types whose facts the checks ask for. */
export const MAX_FUNCTIONS = BPF_MAX_SUBPROGS + 1;

/** The first bytes of each record, or the refusal of one. */
function readRecord({ bytes, recordSize, count }: InfoRecords, i: number, size: number) {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(
    i * recordSize,
    (i + 1) * recordSize,
  );
  if (record.length < recordSize) {
    return { ...refuse("EFAULT", ""), detail: `there is no record ${i} of ${count}` };
  }
  if (record.subarray(size).some((byte) => byte !== 0)) return refuse("E2BIG", "");
  return record;
}

const isSizeValid = (size: number, least: number): boolean =>
  size >= least && size <= MAX_RECORD && size % 4 === 0;

function checkFunc(record: Buffer, previous: number, isFunction: boolean): Refusal | null {
  const [offset, type] = [record.readUInt32LE(0), record.readInt32LE(4)];
  if (previous < 0 && offset !== 0) {
    return einval(`nonzero insn_off ${offset} for the first func info record`);
  }
  if (offset <= previous) {
    const than = `than previous func info record (${previous})`;
    return einval(`same or smaller insn offset (${offset}) ${than}`);
  }
  return isFunction ? null : einval(`invalid type id ${type} in func info`);
}

/** check_btf_func_early() */
export function checkBtfInfoEarly({ funcs, functions }: ProgBtf): Refusal | null {
  if (funcs.count === 0) return null;
  if (!isSizeValid(funcs.recordSize, FUNC_INFO_BYTES)) {
    return einval(`invalid func info rec size ${funcs.recordSize}`);
  }
  let previous = -1;
  for (let i = 0; i < funcs.count; i++) {
    const record = readRecord(funcs, i, FUNC_INFO_BYTES);
    if ("errno" in record) {
      const isTooBig = record.errno === "E2BIG";
      return isTooBig ? refuse("E2BIG", "nonzero tailing record in func info") : record;
    }
    const refusal = checkFunc(record, previous, functions[i]?.isFunction ?? true);
    if (refusal !== null) return refusal;
    previous = record.readUInt32LE(0);
  }
  return null;
}

/** Where the functions of func_info begin. */
export function functionStarts({ bytes, recordSize, count }: InfoRecords): number[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, i) => view.readUInt32LE(i * recordSize));
}

/** check_btf_func() */
function checkFunctions(
  prog: readonly Insn[],
  starts: readonly number[],
  { funcs, functions }: ProgBtf,
): Refusal | null {
  if (funcs.count === 0) return null;
  if (funcs.count !== starts.length) {
    return einval("number of funcs in func_info doesn't match number of subprogs");
  }
  for (const [i, offset] of functionStarts(funcs).entries()) {
    if (offset !== starts[i]) {
      return einval("func_info BTF section doesn't match subprog layout in BPF program");
    }
    if (i === 0 || functions[i]?.returnsScalar !== false) continue;
    const refusal = checkEarlyReturns(prog.slice(offset, starts[i + 1]));
    if (refusal !== null) return refusal;
  }
  return null;
}

/** The place of a line: after the previous one, at an instruction, with texts of the BTF. */
function checkLine(
  prog: readonly Insn[],
  record: Buffer,
  { i, previous, stringBytes }: { i: number; previous: number; stringBytes: number },
): Refusal | null {
  const offset = record.readUInt32LE(0);
  if ((i > 0 && offset <= previous) || offset >= prog.length) {
    const where = `(prev_offset:${previous} prog->len:${prog.length})`;
    return einval(`Invalid line_info[${i}].insn_off:${offset} ${where}`);
  }
  if (prog[offset]?.code === 0) return einval(`Invalid insn code at line_info[${i}].insn_off`);
  const texts = [record.readUInt32LE(4), record.readUInt32LE(8)];
  if (texts.every((text) => text < stringBytes)) return null;
  return einval(`Invalid line_info[${i}].line_off or .file_name_off`);
}

/** check_btf_line() */
function checkLines(
  prog: readonly Insn[],
  starts: readonly number[],
  { lines, stringBytes }: ProgBtf,
): Refusal | null {
  if (lines.count === 0) return null;
  if (lines.count > INT_MAX / LINE_INFO_BYTES || !isSizeValid(lines.recordSize, LINE_INFO_BYTES)) {
    const wrong = `line_info has ${lines.count} records of ${lines.recordSize} bytes`;
    const allowed = `at most ${INT_MAX >> 4} of ${LINE_INFO_BYTES} to ${MAX_RECORD}, in words`;
    return { ...einval(""), detail: `${wrong}, allowed are ${allowed}` };
  }
  let [previous, sub] = [0, 0];
  for (let i = 0; i < lines.count; i++) {
    const record = readRecord(lines, i, LINE_INFO_BYTES);
    if ("errno" in record) {
      const isTooBig = record.errno === "E2BIG";
      return isTooBig ? refuse("E2BIG", "nonzero tailing record in line_info") : record;
    }
    const refusal = checkLine(prog, record, { i, previous, stringBytes });
    if (refusal !== null) return refusal;
    const offset = record.readUInt32LE(0);
    const start = starts[sub];
    if (start === offset) sub += 1;
    else if (start !== undefined && start < offset) {
      return einval(`missing bpf_line_info for func#${sub}`);
    }
    previous = offset;
  }
  if (sub === starts.length) return null;
  const missing = `${starts.length - sub} funcs starting from func#${sub}`;
  return einval(`missing bpf_line_info for ${missing}`);
}

export function checkBtfInfo(
  prog: readonly Insn[],
  starts: readonly number[],
  btf: ProgBtf | undefined,
): Refusal | null {
  if (btf === undefined) return null;
  return checkFunctions(prog, starts, btf) ?? checkLines(prog, starts, btf);
}
