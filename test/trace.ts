import type { Session, TestService } from "./service.ts";
import { actions } from "./trace_actions.ts";

/** Replays what a real Linux answered, step by step, over HTTP. */

export interface Step {
  op: string;
  proc?: string;
  fd?: string;
  key?: string | null;
  value?: string | { fd: string };
  type?: string | number;
  relocs?: { insn: number; fd: string }[];
  as?: string;
  obj?: string;
  result: Result;
  // biome-ignore lint/suspicious/noExplicitAny: the other fields are plain arguments
  [field: string]: any;
}

export interface Trace {
  name: string;
  steps: Step[];
}

export interface Result {
  ok?: Record<string, unknown>;
  errno?: string;
}

export type Outcome = { agrees: true } | { agrees: false; got: Result } | { skipped: string };

/** An object with the name that the trace gives it. */
export interface Named {
  name: string;
  kind: string;
  id: number;
  /** A map of a type that comes later; a hash map stands in, so that fds, pins and ids agree. */
  standIn: boolean;
  /** Held in a slot of a stand-in, which holds nothing: its life cannot be compared. */
  apart: boolean;
}

interface Bound {
  fd: number;
  object: Named | undefined;
  /** Opened in Linux only, where a map-in-map kept the object alive. */
  lost?: boolean;
}

/** A symbol that was never bound is a bad fd. */
const ABSENT: Bound = { fd: 999, object: undefined };

const LATER_TYPES =
  /^(percpu_hash|percpu_array|lru_hash|lru_percpu_hash|lpm_trie|array_of_maps|hash_of_maps|queue|stack|bloom_filter|ringbuf)$/;
const LATER_OPS = /^(update_batch|delete_batch|test_run)$/;
const ON_ELEMENTS = /^(lookup|update|delete|next_key|walk|lookup_and_delete|info|freeze)$/;

export class Player {
  readonly #service: TestService;
  readonly #namespace: string;
  readonly #sessions = new Map<string, Session>();
  readonly #bound = new Map<string, Bound>();
  readonly objects: Named[] = [];

  constructor(service: TestService, namespace: string) {
    this.#service = service;
    this.#namespace = namespace;
  }

  async session(proc: string): Promise<Session> {
    let session = this.#sessions.get(proc);
    if (!session) {
      session = await this.#service.session(this.#namespace, { label: proc });
      this.#sessions.set(proc, session);
    }
    return session;
  }

  knows(proc: string): boolean {
    return this.#sessions.has(proc);
  }

  symbol(proc: string, symbol: string | undefined): Bound {
    return this.#bound.get(`${proc} ${symbol}`) ?? ABSENT;
  }

  /** Binds an fd to a symbol; answers the name of its object. */
  bind(proc: string, symbol: string | undefined, fd: number, kind: string, id: number) {
    const object = this.named(kind, id);
    this.#bound.set(`${proc} ${symbol}`, { fd, object });
    return object?.name;
  }

  make(name: string, kind: string, id: number, standIn: boolean): void {
    this.objects.push({ name, kind, id, standIn, apart: standIn });
  }

  named(kind: string, id: number): Named | undefined {
    return this.objects.findLast((object) => object.kind === kind && object.id === id);
  }

  fork(proc: string, child: string, session: Session): void {
    this.#sessions.set(child, session);
    for (const [key, bound] of [...this.#bound]) {
      const [owner, symbol] = key.split(" ");
      if (owner === proc) this.#bound.set(`${child} ${symbol}`, bound);
    }
  }

  end(proc: string): void {
    this.#sessions.delete(proc);
    for (const key of this.#bound.keys()) {
      if (key.startsWith(`${proc} `)) this.#bound.delete(key);
    }
  }

  async play(step: Step): Promise<Outcome> {
    const skipped = this.#skip(step);
    if (skipped) {
      if (step.op === "map_create" && step.result.ok) await this.#standIn(step);
      return { skipped };
    }
    const got = await this.#perform(step);
    const agrees = same(this.#comparable(step, got), step.result);
    return agrees ? { agrees } : { agrees, got };
  }

  /** Why this step is not compared, or undefined. */
  #skip({ op, proc = "", type, fd, key, value, as, obj }: Step): string | undefined {
    if (op === "creat") return "creat has no meaning over HTTP";
    if (LATER_OPS.test(op)) return `${op} comes with a later issue`;
    if (op === "map_create" && LATER_TYPES.test(String(type))) {
      return `map type ${type} comes with a later issue`;
    }
    const byId = op === "fd_by_id" ? this.objects.findLast(({ name }) => name === obj) : undefined;
    if (byId?.apart && !byId.standIn) {
      this.#bound.set(`${proc} ${as}`, { ...ABSENT, lost: true });
      return "fd_by_id of a map that a map-in-map of a later issue holds";
    }
    if (fd && this.symbol(proc, fd).lost) return `${op} on an fd of such a map`;
    if (ON_ELEMENTS.test(op) && this.symbol(proc, fd).object?.standIn) {
      const held = typeof value === "object" && this.symbol(proc, value?.fd).object;
      if (held) held.apart = true;
      return `${op} on a map of a type that comes with a later issue`;
    }
    if (key === null && op !== "next_key") return "a null key has no meaning over HTTP";
    return undefined;
  }

  async #standIn(step: Step): Promise<void> {
    const flags = Number(step.flags ?? 0) & 24;
    const sizes = { key_size: 4, value_size: 4, max_entries: 4 };
    await this.#perform({ ...step, ...sizes, type: "hash", flags, standIn: true });
  }

  #perform(step: Step): Promise<Result> {
    const act = actions[step.op];
    if (!act) throw new Error(`the trace has an unknown op: ${step.op}`);
    return act(this, step, step.proc ?? "observer");
  }

  /** Objects apart count as the trace says. */
  #comparable(step: Step, got: Result): Result {
    if (step.op !== "observe") return got;
    const apart = new Set(this.objects.filter((object) => object.apart).map(({ name }) => name));
    const expected = (step.result.ok?.alive ?? []) as string[];
    const alive = ((got.ok?.alive ?? []) as string[]).filter((name) => !apart.has(name));
    return { ok: { alive: [...alive, ...expected.filter((name) => apart.has(name))].sort() } };
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([key, item]) => [key, sorted(item)]));
}
