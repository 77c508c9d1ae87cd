import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { type ServiceProgram, startProgram } from "../support/program.ts";

/** Replicas of the service as programs, which can be paused, killed and started again. */

const SECRET = "a secret that all replicas of the fault tests share";
/** Of /proc/PID/stat: USER_HZ is 100 on every Linux. */
const MS_PER_TICK = 10;

export class Replica {
  readonly #env: Record<string, string>;
  #program: ServiceProgram | undefined;

  constructor(url: string, env: Record<string, string> = {}) {
    this.#env = { TOKEN_SECRET: SECRET, ...env, REDIS_URL: url };
  }

  get base(): string {
    return this.#program?.base ?? "";
  }

  get pid(): number {
    return this.#program?.child.pid ?? 0;
  }

  /** Starts, on the same port as before. */
  async start(): Promise<void> {
    const port = this.base === "" ? "0" : new URL(this.base).port;
    this.#program = await startProgram({ ...this.#env, PORT: port });
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#program?.child.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#program?.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    this.signal("SIGCONT");
    await this.kill();
  }

  /** ms of CPU that the process has used. */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  }

  /** Files and connections that the process has open. */
  openFiles(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Bytes of memory that the process holds. */
  memory(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }
}

export async function startReplicas(
  url: string,
  count: number,
  env: Record<string, string> = {},
): Promise<Replica[]> {
  const replicas = Array.from({ length: count }, () => new Replica(url, env));
  await Promise.all(replicas.map((replica) => replica.start()));
  return replicas;
}
