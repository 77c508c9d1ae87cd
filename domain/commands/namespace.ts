import { Errno, OtherLayout } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import type { DueClaim } from "../redis/heartbeats.ts";
import { UNRECORDED } from "../redis/idempotency.ts";
import { NAMESPACE_INFO } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import type { Registry } from "../redis/registry.ts";
import { list, nameFields, number } from "../redis/reply.ts";
import { readNameCursor } from "./cursor.ts";

/** Commands on whole namespaces, which have no session. */

export interface NamespaceInfo {
  name: string;
  /** Its deletion has begun. */
  deleting: boolean;
  sessions: number;
  maps: number;
  progs: number;
  /** Nodes of the tree beside its root: pins, directories and symlinks; absent if nobody counted them. */
  inodes?: number;
  /** Possible CPUs. */
  cpus: number;
}

/** What one sweep found. */
export interface SweepResult {
  workLeft: boolean;
  sessions: number;
  /** False for a namespace that was never used, is deleted or has nothing in it. */
  exists: boolean;
  /** ms until the first session is due; undefined without sessions. */
  delay: number | undefined;
}

export interface NamespaceOptions {
  registry: Registry;
  /** Registers the namespace with the sweepers, which visit it in `delay` ms at the latest. */
  register(namespace: string, delay: number): Promise<void>;
  sweep(namespace: string): Promise<SweepResult>;
  /** Sweeps a namespace that is claimed, and settles the claim. */
  visit(claim: DueClaim): Promise<SweepResult>;
}

/** Calls that one page sends in one write, so that no other client waits for all of them. */
const AT_ONCE = 50;
/** A deletion is waited for so long; the sweepers end what takes longer. */
const WAIT_MS = 1000;
/** A deletion whose request ends early is taken up by a sweeper after so long. */
const VISIT_MS = 1000;

function namespaceInfo(name: string, value: RedisValue | undefined): NamespaceInfo {
  const { deleting, ...fields } = nameFields(NAMESPACE_INFO, list(value));
  const { sessions, maps, progs, inodes, cpus } = fields;
  return {
    name,
    deleting: number(deleting) === 1,
    sessions: number(sessions),
    maps: number(maps),
    progs: number(progs),
    ...(inodes !== null && { inodes: number(inodes) }),
    cpus: number(cpus),
  };
}

export function namespaceCommands(
  run: RunCommand,
  { registry, register, sweep, visit }: NamespaceOptions,
) {
  const commands = {
    async namespaceGet(call: Call) {
      return namespaceInfo(call.namespace, (await run(call, "namespace_get"))[0]);
    },

    /** @param patterns as Registry.list() takes them. @param cursor the last name of a page. */
    async namespaceList(patterns: readonly string[], cursor: string | undefined, limit: number) {
      const names = await registry.list(patterns, readNameCursor(cursor), limit + 1);
      const page = names.slice(0, limit);
      const namespaces: NamespaceInfo[] = [];
      for (let at = 0; at < page.length; at += AT_ONCE) {
        const found = await Promise.all(page.slice(at, at + AT_ONCE).map(findStored));
        namespaces.push(...found.filter((info) => info !== undefined));
      }
      return { namespaces, ...(names.length > limit && { next_cursor: page.at(-1) }) };
    },

    /** Deletes the namespace; returns it if that takes longer than a request should. */
    async namespaceDelete(call: Call) {
      const { namespace } = call;
      await register(namespace, VISIT_MS);
      await run(call, "namespace_delete");
      for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
        const { workLeft, exists } = await sweep(namespace);
        const claim = exists ? undefined : await registry.claim(namespace);
        if (claim) await visit(claim);
        if (!workLeft) break;
      }
      const info = await find(namespace);
      return info?.deleting ? info : undefined;
    },
  };

  async function find(namespace: string): Promise<NamespaceInfo | undefined> {
    const call = { namespace, sid: "", hash: "", ...UNRECORDED };
    return commands.namespaceGet(call).catch((error: unknown) => {
      if (error instanceof Errno && error.code === "ENOENT") return undefined;
      throw error;
    });
  }

  /** Leaves out what another version stores, which must not hide all others. */
  function findStored(namespace: string): Promise<NamespaceInfo | undefined> {
    return find(namespace).catch((error: unknown) => {
      if (error instanceof OtherLayout) return undefined;
      throw error;
    });
  }

  return commands;
}
