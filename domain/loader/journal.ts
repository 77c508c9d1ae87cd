import type { elemCommands } from "../commands/elem.ts";
import type { fdCommands } from "../commands/fd.ts";
import type { fsCommands, StatOptions } from "../commands/fs.ts";
import type { mapCommands } from "../commands/map.ts";
import type { progCommands } from "../commands/prog.ts";
import { AnswerNotKept, Errno, LimitReached, OutcomeUnknown, Unavailable } from "../errno.ts";
import type { Call } from "../redis/command.ts";
import { isRecorded, stepOf } from "../redis/idempotency.ts";

/**
 * Runs the commands of one load. Each has an idempotency record of its own, and what they make is
 * undone in reverse order when a later one fails.
 */

/** The commands that a load consists of. */
export type LoaderCommands = ReturnType<typeof mapCommands> &
  ReturnType<typeof elemCommands> &
  ReturnType<typeof progCommands> &
  ReturnType<typeof fdCommands> &
  ReturnType<typeof fsCommands>;

const STAT_OPTIONS: StatOptions = { follow: false, entries: false, limit: 1 };

type Undo = (call: () => Call) => Promise<unknown>;

export class Journal {
  readonly kernel: LoaderCommands;
  readonly #request: Call;
  readonly #undo: Undo[] = [];
  readonly #fds = new Map<number, Undo>();
  #commandCount = 0;
  #undoCount = 0;

  constructor(kernel: LoaderCommands, first: Call) {
    this.kernel = kernel;
    this.#request = first;
  }

  /** The call of the next command: a repeated request gets the replies of those done, and goes on. */
  nextCall(): Call {
    this.#commandCount += 1;
    return stepOf(this.#request, this.#commandCount);
  }

  /** Undo commands have their own count, so that those of a repeat keep their numbers. */
  readonly #nextUndoCall = (): Call => {
    this.#undoCount += 1;
    return stepOf(this.#request, -this.#undoCount);
  };

  addUndo(undo: Undo): void {
    this.#undo.push(undo);
  }

  /** Runs a command that returns an fd. */
  async openFd<T extends { fd: number }>(command: (call: Call) => Promise<T>): Promise<T> {
    const result = await command(this.nextCall());
    const undo: Undo = (call) => this.kernel.close(call(), result.fd);
    this.#fds.set(result.fd, undo);
    this.addUndo(undo);
    return result;
  }

  /** Closes an fd that is no longer needed. */
  async close(fd: number): Promise<void> {
    await this.kernel.close(this.nextCall(), fd);
    const index = this.#undo.indexOf(this.#fds.get(fd) as Undo);
    if (index >= 0) this.#undo.splice(index, 1);
  }

  async mkdir(path: string, mode: number): Promise<void> {
    await this.kernel.mkdir(this.nextCall(), path, mode);
    this.addUndo((call) => this.kernel.rmdir(call(), path));
  }

  /** Undo leaves the name alone when another node has it meanwhile. */
  async pin(path: string, fd: number): Promise<void> {
    const { ino } = await this.kernel.objPin(this.nextCall(), path, fd, 0);
    this.addUndo(async (call) => {
      const node = await this.kernel.stat(call(), path, STAT_OPTIONS);
      if (node.ino === ino) await this.kernel.unlink(call(), path);
    });
  }

  /** Skips what others have changed since. A load that a repeat can complete is left as it is. */
  async undo(error: unknown): Promise<void> {
    const passing = [OutcomeUnknown, Unavailable, LimitReached, AnswerNotKept];
    const isPassing = passing.some((kind) => error instanceof kind);
    if (isPassing && isRecorded(this.#request)) return;
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo(this.#nextUndoCall);
      } catch (undoError) {
        if (!(undoError instanceof Errno)) return;
      }
    }
  }
}

/** Returns undefined for the expected errno. */
export async function undefinedOnErrno<T>(code: string, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Errno && error.code === code) return undefined;
    throw error;
  }
}

/** Adds the name of the map or program to an error. */
export async function withName<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Errno) || error instanceof LimitReached) throw error;
    const log = error.log === undefined ? {} : { log: error.log };
    throw new Errno(error.code, `${what}: ${error.message}`, log);
  }
}
