import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { assemble } from "../domain/asm/assembler.ts";
import { type Engine, type Runnable, unitOf } from "./exec_engines.ts";
import type { BenchProgram } from "./exec_program.ts";
import { packet } from "./exec_programs.ts";

/** Other JITs, each in its own process. */

type JitReply = { error?: string; fd: number; us: number; retval: number; ns: number };

/** A process that answers each line of JSON with a line of JSON. */
class Teller {
  readonly #child;
  readonly #lines;

  constructor(command: string, args: string[]) {
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
    this.#child.on("error", () => {});
    this.#child.stdin.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(request: object): Promise<JitReply> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#lines.next();
    return JSON.parse(value ?? `{"error":"it does not run"}`) as JitReply;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.pid === undefined) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    await ended;
  }
}

export const KERNEL = "kernel's JIT";
const EMPTY = "b7000000000000009500000000000000";
const data = Buffer.from(packet).toString("hex");

/** Returns the µs that the kernel takes to load a program, or a text with the reason why it does not. */
export type Loads = (program: BenchProgram) => Promise<number | string>;

export async function kernel(): Promise<{ engine: Engine; loads: Loads }> {
  const teller = new Teller("python3", [join(import.meta.dirname, "kernel_jit.py")]);
  const load = (insns: Uint8Array, map: BenchProgram["map"]) => {
    const named = map ? [map.map_type, map.max_entries] : null;
    return teller.ask({ load: Buffer.from(insns).toString("hex"), map: named });
  };
  const open = async (program: BenchProgram): Promise<Runnable | string> => {
    const { insns } = await unitOf(program);
    let { fd, error } = await load(insns, program.map);
    if (error !== undefined) return `refused: ${error}`;
    const run = (repeat: number) => teller.ask({ run: fd, repeat, data });
    return {
      first: async () => (await run(1)).retval,
      run: async (times) => (await run(times)).ns,
      again: async () => {
        await teller.ask({ close: fd });
        ({ fd } = await load(insns, program.map));
      },
    };
  };
  const { error } = await load(Buffer.from(EMPTY, "hex"), undefined);
  const missing = error === undefined ? {} : { missing: `bpf(2) cannot be used: ${error}` };
  const loads: Loads = async (program) => {
    const { error, us, fd } = await load((await unitOf(program)).insns, program.map);
    if (error === undefined) await teller.ask({ close: fd });
    return error ?? us;
  };
  return { engine: { name: KERNEL, ...missing, open, close: () => teller.close() }, loads };
}

export const UBPF = "uBPF's JIT";

/** Calls the program r2 times as a subprogram, so that the call from outside is not measured. */
const repeated = (asm: string): string => `
  r6 = r1
  r7 = r2
again:
  r1 = r6
  call once
  r7 += -1
  if r7 != 0 goto again
  exit
once:
  ${asm}`;

export async function ubpf(): Promise<Engine> {
  const teller = new Teller("python3", [join(import.meta.dirname, "ubpf_jit.py")]);
  const open = async ({ asm, map }: BenchProgram): Promise<Runnable | string> => {
    if (map) return "it has no maps";
    const { insns } = await assemble(repeated(asm), "");
    const { fd, error } = await teller.ask({ load: insns.toString("hex") });
    if (error !== undefined) return `refused: ${error}`;
    const run = (times: number) => teller.ask({ run: fd, times, data });
    return {
      first: async () => (await run(1)).retval,
      run: async (times) => (await run(times)).ns,
    };
  };
  const { error } = await teller.ask({ load: EMPTY });
  const missing = error === undefined ? {} : { missing: `not present: ${error}` };
  return { name: UBPF, ...missing, open, close: () => teller.close() };
}
