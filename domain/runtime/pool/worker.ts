import { TooLarge } from "../../compiler/compile.ts";
import { serveRequests } from "../../threads/serve_requests.ts";
import { Machine } from "../machine.ts";
import { packOutcome, unpackJob, type WorkerReply, type WorkerRequest } from "./messages.ts";

/** A thread of the pool: it runs jobs on a machine of its own, one at a time. */

function prepare(machine: Machine, { forget, prepare }: Exclude<WorkerRequest, { job: unknown }>) {
  for (const key of forget) machine.unload(key);
  for (const { key, unit } of prepare) machine.prepare(key, unit);
}

function answer(machine: Machine, request: WorkerRequest): WorkerReply {
  try {
    if ("job" in request) return { outcome: packOutcome(machine.execute(unpackJob(request.job))) };
    prepare(machine, request);
    return { ready: true };
  } catch (error) {
    if (error instanceof TooLarge) return { tooLarge: error.message };
    throw error;
  }
}

serveRequests(import.meta.url, () => {
  const machine = new Machine();
  return (request: WorkerRequest) => answer(machine, request);
});
