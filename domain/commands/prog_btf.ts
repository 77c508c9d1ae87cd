import { toBuffer } from "../bytes.ts";
import { Errno } from "../errno.ts";
import { decode } from "../isa/insn.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { unrecorded } from "../redis/idempotency.ts";
import { FUNC_INFO_BYTES, LINE_INFO_BYTES } from "../redis/records.ts";
import { list, number, text } from "../redis/reply.ts";
import type { BtfFunction, InfoRecords, ProgBtf } from "../verifier/prog_btf.ts";
import { checkBtfInfoEarly, functionStarts, MAX_FUNCTIONS } from "../verifier/program/btf_info.ts";
import { type LiveInfos, removeDeadCode } from "../verifier/program/dead_code.ts";
import type { Refusal } from "../verifier/verifier.ts";
import type { DecodedInsns } from "../verifier/worker.ts";

/** The func_info and line_info of BPF_PROG_LOAD. */

export type { LiveInfos } from "../verifier/program/dead_code.ts";

export interface BtfInfoAttr {
  /** The fd of a BTF object. */
  fd: number;
  funcs: InfoRecords;
  lines: InfoRecords;
}

/** The BTF object behind the fd, if it is one. */
export interface FoundBtf {
  id: string | undefined;
  btf?: ProgBtf;
}

export const NO_INFOS: LiveInfos = { funcs: Buffer.alloc(0), lines: Buffer.alloc(0) };

/** Flags of a function, as prog_btf answers them. */
const IS_FUNCTION = 1;
const IS_GLOBAL = 2;
const RETURNS_SCALAR = 4;

/** Without a record nothing else is looked at, not even the fd. */
export function recordsOf(attr: BtfInfoAttr): BtfInfoAttr | undefined {
  return attr.funcs.count > 0 || attr.lines.count > 0 ? attr : undefined;
}

/** The ids of types in func_info, as far as records are there. */
function typeIds({ bytes, recordSize, count }: InfoRecords): number[] {
  const view = toBuffer(bytes);
  const size = Math.max(recordSize, FUNC_INFO_BYTES);
  const present = Math.min(count, Math.floor(view.length / size), MAX_FUNCTIONS);
  return Array.from({ length: present }, (_, i) => view.readUInt32LE(i * size + 4));
}

function btfFunction(flags: number): BtfFunction {
  return {
    isFunction: (flags & IS_FUNCTION) !== 0,
    isGlobal: (flags & IS_GLOBAL) !== 0,
    returnsScalar: (flags & RETURNS_SCALAR) !== 0,
  };
}

/** Asks the BTF object for what the checks of the records need. */
export async function readProgBtf(
  run: RunCommand,
  call: Call,
  { fd, funcs, lines }: BtfInfoAttr,
): Promise<FoundBtf> {
  const [id, bytes, flags] = await run(unrecorded(call), "prog_btf", fd, ...typeIds(funcs));
  if (!id) return { id: undefined };
  const functions = list(flags).map((each) => btfFunction(number(each)));
  return { id: text(id), btf: { funcs, lines, functions, stringBytes: number(bytes) } };
}

export function checkEarly(found: FoundBtf | undefined): Refusal | null {
  return found?.btf ? checkBtfInfoEarly(found.btf) : null;
}

/** The first instructions of the functions that Linux checks each by itself. */
export function globalStarts({ funcs, functions }: ProgBtf): number[] {
  return functionStarts(funcs).filter((_, i) => functions[i]?.isGlobal);
}

function trimRecords({ bytes, recordSize, count }: InfoRecords, size: number): Buffer {
  const view = toBuffer(bytes);
  if (recordSize === size) return view.subarray(0, count * size);
  const records = Array.from({ length: count }, (_, i) =>
    view.subarray(i * recordSize, i * recordSize + size),
  );
  return Buffer.concat(records);
}

/** The records of an accepted program, without those of instructions that no path reaches. */
export function liveInfos(
  { insns, prog = decode(insns) }: DecodedInsns,
  seen: Uint8Array | undefined,
  btf: ProgBtf,
): LiveInfos {
  const funcs = trimRecords(btf.funcs, FUNC_INFO_BYTES);
  const lines = trimRecords(btf.lines, LINE_INFO_BYTES);
  if (seen === undefined) return { funcs, lines };
  const reached = Uint8Array.from(seen);
  // Linux follows a global function that is called with any arguments, not with those of the calls.
  const starts = functionStarts(btf.funcs);
  for (const [i, { isGlobal }] of btf.functions.entries()) {
    const start = starts[i] ?? 0;
    if (i > 0 && isGlobal && seen[start] === 1)
      reached.fill(1, start, starts[i + 1] ?? prog.length);
  }
  return removeDeadCode(prog, reached, { funcs, lines });
}

const TAILS: Readonly<Record<string, Record<string, unknown>>> = {
  "nonzero tailing record in func info": { func_info_rec_size: FUNC_INFO_BYTES },
  "nonzero tailing record in line_info": { line_info_rec_size: LINE_INFO_BYTES },
};

/** Adds the size of a record that Linux knows to the error of a longer one. */
export function withRecordSize(error: unknown): unknown {
  if (!(error instanceof Errno) || error.code !== "E2BIG") return error;
  const extensions = TAILS[error.message];
  if (extensions === undefined) return error;
  return new Errno("E2BIG", error.message, { log: error.log ?? "", extensions });
}
