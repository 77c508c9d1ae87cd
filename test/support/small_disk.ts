import { spawnSync } from "node:child_process";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** A small file system in memory, which can be filled and emptied. Only root can mount it. */

const CHUNKS = [65_536, 4096, 1].map((size) => Buffer.alloc(size));

function run(command: string, ...args: string[]): string {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? "" : (error?.message ?? stderr).trim();
}

export class SmallDisk {
  readonly #folder: string;
  readonly #unmount = () => this.unmount();

  private constructor(folder: string) {
    this.#folder = folder;
    // Before the handlers that remove folders.
    process.prependListener("exit", this.#unmount);
  }

  /** Returns the reason where it cannot be mounted. */
  static mount(folder: string, mebibytes: number): SmallDisk | string {
    const wrong = run("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "small-disk", folder);
    return wrong === "" ? new SmallDisk(folder) : wrong;
  }

  get #filler(): string {
    return join(this.#folder, "filler");
  }

  /** Leaves no byte free. */
  fill(): void {
    for (const chunk of CHUNKS) {
      for (let isFull = false; !isFull; ) isFull = !this.#append(chunk);
    }
  }

  #append(chunk: Buffer): boolean {
    try {
      appendFileSync(this.#filler, chunk);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      return false;
    }
  }

  empty(): void {
    rmSync(this.#filler, { force: true });
  }

  unmount(): void {
    process.off("exit", this.#unmount);
    run("umount", "--lazy", this.#folder);
  }
}
