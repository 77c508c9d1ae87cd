import { elems } from "./elem.ts";
import { info, maps } from "./map.ts";
import { processes } from "./process.ts";
import { Failure, fail, type ModelProcess, type ModelState, newState, settle } from "./state.ts";
import { tree } from "./tree.ts";

/**
 * Models the lifetime of objects in bpf(2) without I/O: the result of every call, and who holds
 * which object after it. Model-based tests compare the service with it.
 */

export interface ModelOutcome {
  ok?: object;
  errno?: string;
}

export const calls = { ...processes, ...maps, ...elems, ...tree };

export class BpfModel {
  readonly state: ModelState = newState();

  get processes(): ModelProcess[] {
    return [...this.state.processes.values()];
  }

  /** Runs a call of a process; if the process has ended, the call fails with ESRCH. */
  run(pid: number, call: (state: ModelState, process: ModelProcess) => object): ModelOutcome {
    try {
      return { ok: call(this.state, this.state.processes.get(pid) ?? fail("ESRCH")) };
    } catch (error) {
      if (error instanceof Failure) return { errno: error.errno };
      throw error;
    } finally {
      settle(this.state);
    }
  }

  spawn(uid: number, nofile: number): ModelOutcome {
    return { ok: calls.spawn(this.state, uid, nofile) };
  }

  /** Lists the living maps or programs like the lists by id. */
  list(kind: "map" | "prog") {
    const objects = kind === "map" ? this.state.maps : this.state.progs;
    return [...objects.values()].map((object) => info(this.state, object));
  }
}
