import { randomBytes } from "node:crypto";
import { checkWorld } from "./checks.ts";
import type { FaultOutcome } from "./scenario.ts";
import { Traffic, type TrafficOptions } from "./traffic.ts";
import type { FaultWorld } from "./world.ts";

/** Hits a fault again and again while a mixed load runs, and checks everything afterwards. */

export const newNamespaces = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `fault-${i}-${randomBytes(4).toString("hex")}`);

export interface LoadOptions {
  world: FaultWorld;
  hits: number;
  /** Hits the fault once and heals it. */
  hit(traffic: Traffic, round: number): Promise<unknown>;
  namespaces?: readonly string[];
  traffic?: Partial<TrafficOptions>;
  /** Successes between two hits. */
  between?: number;
}

/** Counts a hit when `hit` resolves. */
export async function hitUnderLoad(options: LoadOptions): Promise<FaultOutcome> {
  const { world, hit, between = 60, namespaces = newNamespaces(2) } = options;
  const { bases, storage } = world;
  const traffic = new Traffic({ bases, namespaces, ...options.traffic });
  let hits = 0;
  try {
    await traffic.start();
    for (; hits < options.hits; hits++) {
      await traffic.untilDone(between);
      await hit(traffic, hits);
    }
    await traffic.untilDone(between);
    await traffic.finish();
    const wrong = await checkWorld({ bases, namespaces, storage });
    const problems = [...traffic.problems, ...wrong];
    return { hits, operations: traffic.answers.done, figures: traffic.figures, problems };
  } finally {
    traffic.isStopping = true;
  }
}
