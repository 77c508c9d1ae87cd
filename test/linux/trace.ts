import type { TestService, TestSession } from "../support/service.ts";

/** Steps recorded from Linux, and the processes that replay them over HTTP. */

export interface TraceStep {
  op: string;
  proc?: string;
  fd?: string;
  key?: string | null;
  value?: string | { fd: string; target?: string };
  type?: string | number;
  relocs?: { insn: number; fd: string }[];
  as?: string;
  obj?: string;
  result: TraceResult;
  // biome-ignore lint/suspicious/noExplicitAny: the other fields are plain arguments
  [field: string]: any;
}

export interface Trace {
  name: string;
  steps: TraceStep[];
}

export interface TraceResult {
  ok?: Record<string, unknown>;
  errno?: string;
  /** What a batch did before it failed. */
  count?: number;
  keys?: string[];
  values?: unknown[];
}

export type TraceOutcome =
  | { agrees: true }
  | { agrees: false; got: TraceResult }
  | { skipped: string };

/** An object with the name that the trace gives it. */
export interface NamedTrace {
  name: string;
  kind: string;
  id: number;
  type: string;
}

interface TraceBound {
  fd: number;
  object: NamedTrace | undefined;
}

/** A symbol that was never bound is a bad fd. */
const ABSENT: TraceBound = { fd: 999, object: undefined };

/** Maps whose key is a null pointer. */
const KEYLESS = /^(queue|stack|bloom_filter|ringbuf)$/;

export class Player {
  readonly #service: TestService;
  readonly #namespace: string;
  readonly #sessions = new Map<string, TestSession>();
  readonly #bound = new Map<string, TraceBound>();
  readonly #skipped = new Set<string>();
  readonly objects: NamedTrace[] = [];
  /** Where batches go on, by the names that a trace gives them. */
  readonly cursors = new Map<string, string>();

  constructor(service: TestService, namespace: string) {
    this.#service = service;
    this.#namespace = namespace;
  }

  async session(proc: string): Promise<TestSession> {
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

  symbol(proc: string, symbol: string | undefined): TraceBound {
    return this.#bound.get(`${proc} ${symbol}`) ?? ABSENT;
  }

  /** Binds an fd to a symbol; answers the name of its object. */
  bind(proc: string, symbol: string | undefined, fd: number, kind: string, id: number) {
    const object = this.named(kind, id);
    this.#bound.set(`${proc} ${symbol}`, { fd, object });
    return object?.name;
  }

  /** Notes that the step which binds the symbol was not played. */
  skip(proc: string, symbol: string | undefined): void {
    if (symbol !== undefined) this.#skipped.add(`${proc} ${symbol}`);
  }

  isSkipped(proc: string, symbol: string | undefined): boolean {
    return this.#skipped.has(`${proc} ${symbol}`) && !this.#bound.has(`${proc} ${symbol}`);
  }

  make(name: string, kind: string, id: number, type: string): void {
    this.objects.push({ name, kind, id, type });
  }

  /** Whether the map behind the symbol has no keys. */
  keyless(proc: string, symbol: string | undefined): boolean {
    return KEYLESS.test(this.symbol(proc, symbol).object?.type ?? "");
  }

  named(kind: string, id: number): NamedTrace | undefined {
    return this.objects.findLast((object) => object.kind === kind && object.id === id);
  }

  fork(proc: string, child: string, session: TestSession): void {
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
}
