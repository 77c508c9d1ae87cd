import { Errno } from "../errno.ts";
import type { Journal } from "./journal.ts";

/** Pins objects, and makes the parent directories of their paths. */

/** The mode that make_parent_dir() of libbpf uses. */
const PARENT_MODE = 0o700;

export class Pins {
  readonly #journal: Journal;
  readonly #directories = new Set<string>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** @throws EEXIST when the path exists. */
  async pin(path: string, fd: number): Promise<void> {
    await this.#createParents(path);
    await this.#journal.pin(path, fd);
  }

  async #createParents(path: string): Promise<void> {
    const names = path.split("/").filter(Boolean).slice(0, -1);
    for (const i of names.keys()) {
      const directory = `/${names.slice(0, i + 1).join("/")}`;
      if (this.#directories.has(directory)) continue;
      await this.#mkdir(directory);
      this.#directories.add(directory);
    }
  }

  /** An existing name may be a directory or a symlink to one. */
  async #mkdir(directory: string): Promise<void> {
    try {
      await this.#journal.mkdir(directory, PARENT_MODE);
    } catch (error) {
      if (!(error instanceof Errno) || error.code !== "EEXIST") throw error;
    }
  }
}
