import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type CaseResult, type FuzzCase, usedMaps } from "./case.ts";

/** Runs cases on the kernel of this machine through kernel.py. */

/** Says why the kernel cannot run cases. */
export class KernelUnavailable extends Error {}

interface Greeting {
  /** The number of possible CPUs. */
  cpus: number;
  /** The release as `uname -r` prints it. */
  release: string;
}

export class LinuxKernel {
  readonly cpus: number;
  readonly release: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, greeting: Greeting) {
    this.#child = child;
    this.#lines = lines;
    this.cpus = greeting.cpus;
    this.release = greeting.release;
  }

  /** @throws KernelUnavailable */
  static async start(): Promise<LinuxKernel> {
    if (process.platform !== "linux" || process.arch !== "x64") {
      throw new KernelUnavailable(
        `this is ${process.platform} on ${process.arch}, not Linux on x86-64`,
      );
    }
    const script = new URL("kernel.py", import.meta.url).pathname;
    const child = spawn("python3", [script], { stdio: ["pipe", "pipe", "inherit"] });
    const failed = new Promise<never>((_, reject) => {
      child.once("error", ({ message }) => reject(new KernelUnavailable(`python3: ${message}`)));
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), failed]);
    if (first.done) throw new KernelUnavailable("python3 could not run kernel.py");
    const greeting: Greeting | { refused: string } = JSON.parse(first.value);
    if ("refused" in greeting) throw new KernelUnavailable(`bpf(2): ${greeting.refused}`);
    return new LinuxKernel(child, lines, greeting);
  }

  /** Runs one case; the caller must wait for it before the next. */
  async run(subject: FuzzCase): Promise<CaseResult> {
    const { data, ctx, programs } = subject;
    const used = usedMaps(subject);
    const hex = {
      ...subject,
      maps: subject.maps.map((map, place) => (used.has(place) ? map : null)),
      programs: programs.map((program) => ({ ...program, insns: program.insns.toString("hex") })),
      data: data.toString("hex"),
      ...(ctx ? { ctx: ctx.toString("hex") } : {}),
    };
    this.#child.stdin?.write(`${JSON.stringify(hex)}\n`);
    const { done, value } = await this.#lines.next();
    if (done) throw new Error("kernel.py has ended");
    return JSON.parse(value);
  }

  close(): void {
    this.#child.stdin?.end();
  }
}
