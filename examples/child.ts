import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** A real process of the demo, with words to and from it. */
export class Child {
  readonly process: ChildProcess;
  /** Exit code and signal. */
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #name: string;
  readonly #messages: AsyncIterator<unknown[]>;

  constructor(file: string, args: string[], env: Record<string, string>) {
    this.#name = args[0] ?? file;
    this.process = spawn(process.execPath, ["--import", "tsx", `examples/${file}.ts`, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.ended = once(this.process, "exit") as typeof this.ended;
    this.#messages = on(this.process, "message", { close: ["disconnect"] });
  }

  tell(word: string): void {
    this.process.send(word);
  }

  /** Its next message. @throws when it ends instead. */
  async hear<T>(): Promise<T> {
    const { value, done } = await this.#messages.next();
    if (done) throw new Error(`${this.#name} ended before it answered`);
    return value[0] as T;
  }

  async leave(): Promise<void> {
    this.tell("exit");
    const [code] = await this.ended;
    if (code !== 0) throw new Error(`${this.#name} ended with code ${code}`);
  }
}
