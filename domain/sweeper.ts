import type { Kernel } from "./bpf.ts";
import { OtherLayout } from "./errno.ts";
import { isOutage } from "./redis/failures.ts";
import type { DueClaim } from "./redis/heartbeats.ts";

/**
 * Ends expired sessions of idle namespaces and continues freeing that was too big for one call. Every replica
 * has a sweeper, and takes the namespaces that are due from its heartbeats; a sweep is atomic.
 */

/** Namespaces that a sweeper visits at a time. */
const PLACES = 64;
/** Period of Library.keepUsed(). */
const KEEP_MS = 60_000;
/** Work that this replica does at once is left to others after so long, if it dies. */
const VISIT_MS = 1000;
/** Until the next visit of a namespace that cannot be swept. */
const FAILED_MS = 60_000;

export class Sweeper {
  readonly #kernel: Kernel;
  readonly #onError: (error: unknown) => void;
  /** Namespaces with work that this replica left, or that may be empty. */
  readonly #urgent = new Set<string>();
  readonly #visits = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #chores: Promise<void> | undefined;
  #isStopped = false;
  /** Namespaces that no registry has, a few in each step, once. */
  #unlisted: AsyncGenerator<string[]>;
  /** The last call of Library.keepUsed(), by performance.now(). */
  #kept = Number.NEGATIVE_INFINITY;
  /** Rounds of heartbeats so far. */
  #rounds = 0;

  /** @param onError is not called for an outage of Redis, in which every sweep fails. */
  constructor(kernel: Kernel, onError: (error: unknown) => void) {
    this.#kernel = kernel;
    this.#unlisted = this.#search();
    this.#onError = (error) => {
      if (!isOutage(error)) onError(error);
    };
    kernel.hints.onWorkLeft = (namespace) => {
      kernel.registry.register(namespace, VISIT_MS).catch(this.#onError);
      this.#hurry(namespace);
    };
    kernel.hints.onEnd = (namespace) => this.#hurry(namespace);
  }

  start(): void {
    this.#kernel.script.heartbeats.listener = {
      // Several masters that are asked at once can fill it twice.
      room: () => Math.max(0, PLACES - this.#visits.size),
      onDue: (claims) => {
        for (const claim of claims) this.#begin(claim);
      },
      onRound: () => {
        this.#chores ??= this.#doChores()
          .catch(this.#onError)
          .finally(() => {
            this.#chores = undefined;
          });
      },
    };
    this.#schedule(0);
  }

  /** Resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#kernel.script.heartbeats.listener = undefined;
    clearTimeout(this.#timer);
    await Promise.all([this.#turn, this.#chores, ...this.#visits]);
  }

  #begin(claim: DueClaim): void {
    const visit = this.#visit(claim).finally(() => this.#visits.delete(visit));
    this.#visits.add(visit);
  }

  async #visit(claim: DueClaim): Promise<void> {
    try {
      const { workLeft } = await this.#kernel.visit(claim);
      if (workLeft) this.#hurry(claim.namespace);
    } catch (error) {
      this.#onError(error);
      // In an outage the claim lapses by itself.
      const isLasting = error instanceof OtherLayout || !isOutage(error);
      if (isLasting) await this.#kernel.registry.settle(claim, FAILED_MS).catch(this.#onError);
    }
  }

  #hurry(namespace: string): void {
    this.#urgent.add(namespace);
    this.#schedule(0);
  }

  #schedule(ms: number): void {
    if (this.#isStopped || this.#turn) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#turn = this.#sweepUrgent().finally(() => {
        this.#turn = undefined;
        if (this.#urgent.size > 0) this.#schedule(1);
      });
    }, ms);
  }

  async #sweepUrgent(): Promise<void> {
    const names = [...this.#urgent];
    this.#urgent.clear();
    await Promise.all(names.map((name) => this.#sweep(name).catch(this.#onError)));
  }

  async #sweep(namespace: string): Promise<void> {
    const { workLeft, sessions } = await this.#kernel.sweep(namespace);
    if (workLeft) this.#urgent.add(namespace);
    const claim = !workLeft && sessions === 0 && (await this.#kernel.registry.claim(namespace));
    if (claim) await this.#visit(claim);
  }

  /** What is done now and then, a little in each round. */
  async #doChores(): Promise<void> {
    const { script, registry } = this.#kernel;
    const now = performance.now();
    if (now - this.#kept >= KEEP_MS) {
      this.#kept = now;
      // Not awaited: it calls every master, and one may be slow.
      script.library.keepUsed().catch(this.#onError);
    }
    const unvisited = script.anchors.unvisited();
    const anchor = unvisited[this.#rounds++ % unvisited.length];
    if (anchor) await registry.moveFrom(anchor).catch(this.#onError);
    await this.#registerUnlisted();
  }

  /** Goes on with the search for namespaces, which starts again after a failure. */
  async #registerUnlisted(): Promise<void> {
    try {
      const { value, done } = await this.#unlisted.next();
      if (!done) await Promise.all(value.map((name) => this.#kernel.registry.register(name, 0)));
    } catch (error) {
      this.#unlisted = this.#search();
      throw error;
    }
  }

  async *#search(): AsyncGenerator<string[]> {
    const { registry, older } = this.#kernel;
    for await (const names of older.names()) yield await registry.missing(names);
    yield* registry.search();
  }
}
