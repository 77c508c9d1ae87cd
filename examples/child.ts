import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NODE_ARGS } from "../domain/threads/worker_thread.ts";

type Messages = AsyncIterator<[Record<string, unknown>], undefined>;

const PATIENCE_MS = 60_000;
const SILENCE = { value: undefined, done: true } as const;
const ROOT = join(import.meta.dirname, "..");

/** A real process of the demo, with words to and from it. */
export class Child {
  readonly process: ChildProcess;
  /** Exit code and signal. */
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #name: string;
  readonly #messages: Messages;

  constructor(file: string, args: string[], env: Record<string, string>) {
    this.#name = args[0] ?? file;
    this.process = spawn(process.execPath, [...NODE_ARGS, `examples/${file}.ts`, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.ended = once(this.process, "exit") as typeof this.ended;
    this.#messages = on(this.process, "message", {
      close: ["disconnect"],
    }) as Messages;
  }

  tell(word: string): void {
    this.process.send(word);
  }

  /** What it next tells of this; what it tells of other things is passed over. @throws when it ends or is silent. */
  async hear<T>(of: string): Promise<T> {
    for (;;) {
      const silence = delay(PATIENCE_MS, SILENCE, { ref: false });
      const { value, done } = await Promise.race([this.#messages.next(), silence]);
      if (done) throw new Error(`${this.#name} ended, or was silent, before it told ${of}`);
      if (of in value[0]) return value[0][of] as T;
    }
  }

  async leave(): Promise<void> {
    this.tell("exit");
    const [code] = await this.ended;
    if (code !== 0) throw new Error(`${this.#name} ended with code ${code}`);
  }
}
