import { Errno, OtherLayout } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { UNRECORDED } from "../redis/idempotency.ts";
import type { NamespaceIndex } from "../redis/namespace_index.ts";
import { NAMESPACE_INFO } from "../redis/records.ts";
import { list, nameFields, number } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
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
  /** False for a namespace that was never used or is deleted. */
  exists: boolean;
}

export interface NamespaceOptions {
  index: NamespaceIndex;
  sweep(namespace: string, allowance: number): Promise<SweepResult>;
  /** Tells the sweepers that the namespace has work. */
  onDeletion(namespace: string): void;
}

/** Calls that one page sends in one write, so that no other client waits for all of them. */
const AT_ONCE = 50;
/** A deletion is waited for so long; the sweepers end what takes longer. */
const WAIT_MS = 1000;
/** That of a new namespace, because it may be in use again before the sweep. */
const ALLOWANCE_MS = 5000;

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

export function namespaceCommands(run: RunCommand, { index, sweep, onDeletion }: NamespaceOptions) {
  const commands = {
    async namespaceGet(call: Call) {
      return namespaceInfo(call.namespace, (await run(call, "namespace_get"))[0]);
    },

    /** @param patterns as NamespaceIndex.list() takes them. @param cursor the last name of a page. */
    async namespaceList(patterns: readonly string[], cursor: string | undefined, limit: number) {
      const names = await index.list(patterns, readNameCursor(cursor), limit + 1);
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
      // As for a session: before the mark, in case the reply is lost, and again after it, in case a sweeper has
      // just forgotten the namespace.
      onDeletion(namespace);
      await run(call, "namespace_delete");
      onDeletion(namespace);
      for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
        const { workLeft, exists } = await sweep(namespace, ALLOWANCE_MS);
        if (!exists) await forget(namespace);
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

  /** A session may have been made before the name was removed. */
  async function forget(namespace: string): Promise<void> {
    await index.remove(namespace);
    if (await find(namespace)) await index.add(namespace);
  }

  return commands;
}
