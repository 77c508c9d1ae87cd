import { batchCommands } from "./commands/batch.ts";
import { btfCommands } from "./commands/btf.ts";
import { elemCommands } from "./commands/elem.ts";
import { fdCommands } from "./commands/fd.ts";
import { fsCommands } from "./commands/fs.ts";
import { mapCommands } from "./commands/map.ts";
import { namespaceCommands, type SweepResult } from "./commands/namespace.ts";
import { progCommands } from "./commands/prog.ts";
import { ringCommands, ringLook } from "./commands/ring.ts";
import { runCommands } from "./commands/run.ts";
import { sessionCommands, sessionsRenew } from "./commands/session.ts";
import { ticketCommands } from "./commands/ticket.ts";
import type { CompilationUnit } from "./compiler/abi.ts";
import { elfCommands } from "./loader/elf_load.ts";
import type { Call, RunCommand, RunFirstHalf } from "./redis/command.ts";
import { connect } from "./redis/connection.ts";
import type { DueClaim } from "./redis/heartbeats.ts";
import { UNRECORDED, unrecorded } from "./redis/idempotency.ts";
import type { InTime } from "./redis/in_time.ts";
import { NOBODY } from "./redis/lua_call.ts";
import { Notifier } from "./redis/notifier.ts";
import { OlderRegistry } from "./redis/older_registry.ts";
import type { Argument } from "./redis/redis_value.ts";
import { Registry } from "./redis/registry.ts";
import { Script } from "./redis/script.ts";
import { Pool } from "./runtime/pool/pool.ts";
import { SessionRenewals } from "./session_renewals.ts";
import { SETTINGS, type Settings } from "./settings.ts";
import { Tokens } from "./token.ts";
import { hashCode } from "./transaction/program_cache.ts";
import { ProofCache } from "./transaction/proof_cache.ts";
import { Runner } from "./transaction/runner.ts";

/**
 * Assembles the domain: every command of the service is one method here. A method resolves to the
 * command's result, or rejects with an Errno or another failure of errno.ts.
 */

export type { Call } from "./redis/command.ts";
export { idempotencyOf, recordName, UNRECORDED } from "./redis/idempotency.ts";

/** Events of a namespace that a sweeper listens to. */
export interface KernelEvents {
  /** A command left freeing that should continue at once. */
  onWorkLeft(namespace: string): void;
  /** A session has ended, so the namespace may be empty. */
  onEnd(namespace: string): void;
}

/** @param secret the key of all tokens, at least 32 bytes, the same in every replica. */
export function createKernel(url: string, secret: Buffer, changed: Partial<Settings> = {}) {
  const settings = { ...SETTINGS, ...changed };
  const { deadline, cpus, threads, runLimit, budget, insns, complexity } = settings;
  const script = new Script(connect(url, deadline), deadline);
  const tokens = new Tokens(secret);
  const hints: KernelEvents = { onWorkLeft: () => {}, onEnd: () => {} };
  const { redis, anchors, masters, masterCalls: calls } = script;
  const inTime: InTime = (call) => script.inTime(call);
  const registry = new Registry({ redis, anchors, masters, calls, inTime });
  const older = new OlderRegistry(redis, inTime);
  const pool = new Pool({ threads, timeLimit: runLimit });
  const proofs = new ProofCache();
  const look = ringLook(runFor("ring_look"));
  const renewAll = sessionsRenew(runFor("sessions_renew"));
  const wake = new Notifier(script.redis, look);
  const renewals = new SessionRenewals({
    renewAll,
    renew: async (caller) => (await commands.sessionRenew({ ...caller, ...UNRECORDED })).ttl_ms,
    onEnded: (caller, reason) => wake.endSession(caller, reason),
  });

  /** Runs a command that is for many sessions of a namespace. */
  function runFor(command: string) {
    return async (namespace: string, args: Argument[]) => {
      const { values, workLeft } = await script.run(namespace, command, NOBODY, args);
      if (workLeft) hints.onWorkLeft(namespace);
      return values;
    };
  }

  function onLoad(unit: CompilationUnit): void {
    const key = hashCode(unit);
    proofs.keep(key, unit);
    pool.prepare({ key, unit });
  }

  const begin: RunFirstHalf = (call: Call, command, ...args) => {
    const { namespace, sid, hash, record, fingerprint } = call;
    const who = [sid, hash, record, fingerprint] as const;
    const sentAt = performance.now();
    return script.run(namespace, command, who, args, call).then((answer) => {
      if (answer.workLeft) hints.onWorkLeft(namespace);
      renewals.note(hash, command === "session_set" ? undefined : sentAt);
      return answer;
    });
  };
  const run: RunCommand = (...command) => begin(...command).then(({ values }) => values);

  async function sweep(namespace: string): Promise<SweepResult> {
    const { values, workLeft } = await script.run(namespace, "sweep", NOBODY, []);
    const [more, sessions, exists, delay] = values;
    return {
      workLeft: workLeft || more === 1,
      sessions: Number(sessions),
      exists: exists === 1,
      delay: typeof delay === "number" ? delay : undefined,
    };
  }

  /** Sweeps a claimed namespace. While work is left, the claim stays until it lapses. */
  async function visit(claim: DueClaim): Promise<SweepResult> {
    const found = await sweep(claim.namespace);
    if (found.workLeft) return found;
    if (found.exists) {
      await registry.settle(claim, found.delay);
    } else {
      await registry.forget(claim);
      older.remove(claim.namespace);
    }
    return found;
  }

  async function register(namespace: string, delay: number): Promise<void> {
    await registry.register(namespace, delay);
    older.add(namespace);
  }

  function disconnect(): void {
    pool.close();
    script.redis.disconnect();
  }

  const commands = {
    ...namespaceCommands(run, { registry, register, sweep, visit }),
    ...sessionCommands(run, { tokens, cpus, register, onEnd: (name) => hints.onEnd(name) }),
    ...fdCommands(run),
    ...btfCommands(run),
    ...mapCommands(run),
    ...elemCommands(run),
    ...batchCommands(run),
    ...ringCommands(run),
    ...progCommands(run, { run, begin, limits: { insns, complexity }, onLoad }),
    ...runCommands(begin, run, new Runner(run, pool, budget, proofs)),
    ...fsCommands(run),
  };
  return {
    script,
    tokens,
    hints,
    registry,
    older,
    sweep,
    visit,
    ringLook: look,
    sessionsRenew: renewAll,
    warm: () => pool.warm(),
    disconnect,
    wake,
    renewals,
    ...commands,
    ...ticketCommands(tokens, commands.ringRead),
    ...elfCommands(commands, (call) => commands.sessionGet(unrecorded(call))),
  };
}

export type Kernel = ReturnType<typeof createKernel>;
