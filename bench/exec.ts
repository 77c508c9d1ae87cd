import type { Engine } from "./exec_engines.ts";
import { execHttp } from "./exec_http.ts";
import { kernel, ubpf } from "./exec_jits.ts";
import { type LoadTimes, load } from "./exec_load.ts";
import { type Speeds, speed } from "./exec_speed.ts";
import type { LoadSample } from "./load.ts";

/** Measures the speed of programs, the time to load them, and the cost of a run over HTTP. */

export interface Exec {
  /** Program -> engines. */
  speeds: Record<string, Speeds>;
  load: LoadTimes[];
  /** Operation -> rounds. */
  http: Record<string, LoadSample[]>;
}

export async function exec(say: (line: string) => void): Promise<Exec> {
  const linux = await kernel();
  const others: Engine[] = [linux.engine, await ubpf()];
  const speeds = await speed(say, others);
  say("loading");
  const loading = await load(linux.loads);
  for (const engine of others) await engine.close?.();
  return { speeds, load: loading, http: await execHttp(say) };
}
