import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NODE_ARGS } from "../domain/threads/worker_thread.ts";

type Messages = AsyncIterator<[Record<string, unknown>], undefined>;

const TIMEOUT_MS = 60_000;
const SILENCE = { value: undefined, done: true } as const;
const ROOT = join(import.meta.dirname, "..");

/** A real process of the demo. The demo sends it orders and receives its reports. */
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

  send(order: string): void {
    this.process.send(order);
  }

  /** Resolves to this field of the next report that has it. @throws when the process ends or is silent. */
  async receive<T>(field: string): Promise<T> {
    for (;;) {
      const silence = delay(TIMEOUT_MS, SILENCE, { ref: false });
      const { value, done } = await Promise.race([this.#messages.next(), silence]);
      if (done) throw new Error(`${this.#name} ended, or was silent, before it reported ${field}`);
      if (field in value[0]) return value[0][field] as T;
    }
  }

  async leave(): Promise<void> {
    this.send("exit");
    const [code] = await this.ended;
    if (code !== 0) throw new Error(`${this.#name} ended with code ${code}`);
  }
}
