/** Settings of the domain and their defaults. This file imports nothing, so that a start reads it fast. */

export interface Settings {
  /** ms after which a call to Redis counts as lost. */
  deadline: number;
  /** Possible CPUs of new namespaces. */
  cpus: number;
  /** Worker threads that run programs. */
  threads: number;
  /** ms after which a run is stopped. */
  runLimit: number;
  /** Instructions that one repetition of a run may execute. */
  budget: number;
  /** Instructions that a program may have. */
  insns: number;
  /** Instructions that the verifier may process, counting one once per path that reaches it. */
  complexity: number;
}

export const SETTINGS: Settings = {
  deadline: 1000,
  cpus: 2,
  threads: 2,
  runLimit: 1000,
  budget: 100_000_000,
  insns: 1_000_000,
  complexity: 1_000_000,
};
