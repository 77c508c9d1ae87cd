import { compile } from "../domain/compiler/compile.ts";
import { decode } from "../domain/isa/insn.ts";
import { hashCode } from "../domain/transaction/program_cache.ts";
import { check, tag, verify } from "../domain/verifier/verifier.ts";
import { OPTIONS, unitOf } from "./exec_engines.ts";
import type { Loads } from "./exec_jits.ts";
import type { BenchProgram, ProgramShape } from "./exec_program.ts";
import { median } from "./load.ts";

/** Measures the load of a program: verification, compilation, and the WebAssembly module. */

export const SIZES = [10, 100, 1000, 10_000];
const ROUNDS = 11;
/** A round takes the quickest load of at least three, and of as many as have this many instructions. */
const TAKEN = 3000;
/** Instructions loaded before the first round. */
const WARM_UP = 100_000;

/** µs for a program of `insns` instructions, medians of the rounds. */
export interface LoadTimes {
  insns: number;
  verify: number;
  compile: number;
  module: number;
  all: number;
  /** The kernel's BPF_PROG_LOAD, or a text with the reason why it was not measured. */
  kernel: number | string;
}

const ELEMENTS = 64;
const map: ProgramShape = {
  ...{ map_type: "array", key_size: 4, value_size: 8, max_entries: ELEMENTS, map_flags: 0 },
};

/** Reads the packet, branches on its bytes, writes to the stack, and counts in an array. */
const part = (i: number): string[] => [
  "r2 = *(u32 *)(r6 +76)",
  "r3 = *(u32 *)(r6 +80)",
  "r4 = r2",
  "r4 += 64",
  "if r4 > r3 goto out",
  "r5 = *(u8 *)(r2 +23)",
  `if r5 != ${i % 256} goto other${i}`,
  `r5 = *(u16 *)(r2 +${(2 * i) % 60})`,
  "r7 += r5",
  `other${i}: r5 = *(u32 *)(r2 +${(4 * i) % 60})`,
  "*(u32 *)(r10 -8) = r5",
  "r7 ^= r5",
  "r5 >>= 16",
  "r5 += r7",
  "r5 &= 65535",
  "*(u16 *)(r10 -8) = r5",
  `*(u32 *)(r10 -4) = ${i % ELEMENTS}`,
  "r1 = map[fd:0]",
  "r2 = r10",
  "r2 += -4",
  "call map_lookup_elem",
  `if r0 == 0 goto none${i}`,
  "r1 = 1",
  "lock *(u64 *)(r0 +0) += r1",
  `none${i}: r7 += 1`,
];

/** A ld_imm64 counts as two instructions. */
const lengthOf = (lines: readonly string[]): number =>
  lines.length + lines.filter((line) => line.includes("map[")).length;

/** Builds a program of exactly `insns` instructions. */
function program(insns: number): BenchProgram {
  const lines = ["r6 = r1", "r7 = 0"];
  const last = ["out: r0 = r7", "exit"];
  const room = () => insns - lengthOf(lines) - last.length;
  for (let i = 0; room() >= lengthOf(part(i)); i++) lines.push(...part(i));
  if (insns < 100) lines.push(...part(0).slice(0, 5));
  while (room() > 0) lines.push("r7 += 1");
  const asm = [...lines, ...last].join("\n");
  return { name: `${insns} instructions`, asm, map, native: () => () => 0 };
}

let serial = 0;

/** Adds a unique custom section, because V8 caches modules by their bytes. */
function makeUnique(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const section = Buffer.from([0, 6, 1, 0x6e, 0, 0, 0, 0]);
  section.writeUInt32LE(++serial, 4);
  return new Uint8Array(Buffer.concat([wasm, section]));
}

type Times = Record<"verify" | "compile" | "module" | "all", number>;

async function timed(of: BenchProgram): Promise<() => Times> {
  const unit = await unitOf(of);
  const insns = Buffer.from(unit.insns);
  return () => {
    const begun = performance.now();
    const prog = decode(insns);
    const { refs } = check(prog, OPTIONS);
    tag(insns, prog);
    const maps = refs.map(() => map);
    const { refusal, provenAccesses } = verify(prog, maps, OPTIONS);
    if (refusal) throw new Error(refusal.log);
    const verified = performance.now();
    hashCode(unit);
    const { wasm } = compile(unit, provenAccesses);
    const compiled = performance.now();
    new WebAssembly.Module(makeUnique(wasm));
    const made = performance.now();
    return {
      verify: 1000 * (verified - begun),
      compile: 1000 * (compiled - verified),
      module: 1000 * (made - compiled),
      all: 1000 * (made - begun),
    };
  };
}

async function one(insns: number, loads: Loads): Promise<LoadTimes> {
  const own = program(insns);
  const again = await timed(own);
  const kernel: (number | string)[] = [];
  const measured: Times[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const takes = Array.from({ length: Math.max(3, TAKEN / insns) }, again);
    measured.push(takes.reduce((best, one) => (one.all < best.all ? one : best)));
    kernel.push(await loads(own));
  }
  const of = (name: keyof Times) => median(measured.map((times) => times[name]));
  const loaded = kernel.filter((us) => typeof us === "number");
  return {
    insns,
    ...{ verify: of("verify"), compile: of("compile"), module: of("module"), all: of("all") },
    kernel: loaded.length > 0 ? median(loaded) : (kernel[0] ?? ""),
  };
}

export async function load(loads: Loads): Promise<LoadTimes[]> {
  const measured: LoadTimes[] = [];
  const usual = await timed(program(1000));
  for (let done = 0; done < WARM_UP; done += 1000) usual();
  for (const insns of SIZES) measured.push(await one(insns, loads));
  return measured;
}
