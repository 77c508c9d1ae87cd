import { batchCommands } from "./batch.ts";
import type { Call, Run } from "./call.ts";
import { elemCommands } from "./elem.ts";
import { fdCommands } from "./fd.ts";
import { fsCommands } from "./fs.ts";
import { mapCommands } from "./map.ts";
import { progCommands } from "./prog.ts";
import { ringCommands } from "./ring.ts";
import { connect, Script } from "./script.ts";
import { sessionCommands } from "./session.ts";
import { Tokens } from "./token.ts";
import { Wake } from "./wake.ts";

/**
 * The door to the domain: every command of the service, one method each. A method resolves to what
 * the command answers, or rejects with an Errno or another failure of errno.ts.
 */

export type { Call } from "./call.ts";

/** What commands tell a sweeper: each a namespace. */
export interface Hints {
  /** Freeing is left to go on with at once. */
  onWorkLeft(namespace: string): void;
  onSession(namespace: string): void;
}

/**
 * @param secret the key of all tokens, at least 32 bytes, the same in every replica.
 * @param deadline ms after which a call of Redis counts as lost.
 * @param cpus possible CPUs of new namespaces.
 */
export function createKernel(url: string, secret: Buffer, deadline = 1000, cpus = 2) {
  const script = new Script(connect(url, deadline), deadline);
  const tokens = new Tokens(secret);
  const hints: Hints = { onWorkLeft: () => {}, onSession: () => {} };

  const run: Run = async (call: Call, command, ...args) => {
    const { namespace, sid, hash, record, fingerprint } = call;
    const who = [sid, hash, record, fingerprint];
    const answer = await script.run(namespace, command, ...who, ...args);
    if (answer.workLeft) hints.onWorkLeft(namespace);
    return answer.values;
  };

  /** A sweeper's turn. `allowance`: ms that may pass until anybody's next one. */
  async function sweep(namespace: string, allowance: number) {
    const { values, workLeft } = await script.run(namespace, "sweep", "", "", "", "", allowance);
    const [more, sessions] = values;
    return { workLeft: workLeft || more === 1, sessions: Number(sessions) };
  }

  return {
    script,
    tokens,
    hints,
    sweep,
    wake: new Wake(script.redis),
    ...sessionCommands(run, tokens, (namespace) => hints.onSession(namespace), cpus),
    ...fdCommands(run),
    ...mapCommands(run),
    ...elemCommands(run),
    ...batchCommands(run),
    ...ringCommands(run),
    ...progCommands(run),
    ...fsCommands(run),
  };
}

export type Kernel = ReturnType<typeof createKernel>;
