import { setTimeout as delay } from "node:timers/promises";
import { Dice } from "../support/random.ts";
import {
  describeAnswer,
  type FaultAnswer,
  FaultClient,
  insist,
  type OpenedSession,
  openSession,
} from "./http.ts";
import { ARRAY, Ledger, PROG, QUEUE } from "./ledger.ts";

/** Mixed load of many sessions, which counts every answer and keeps a ledger of every write. */

export interface TrafficOptions {
  /** Addresses of the replicas; a session goes to the next one when its connection breaks. */
  bases: readonly string[];
  namespaces: readonly string[];
  /** Sessions of each namespace. */
  sessions?: number;
  ttl?: number;
  /** Whether a failover may lose what was acknowledged; then what is missing is counted, not a problem. */
  mayLose?: boolean;
}

const BACKOFF_MS = 25;
const BATCH = { op: "update", keys: ["u32:1", "u32:2"], values: ["u64:1", "u64:2"] };
const MAP = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };

/** Failures that do not contradict a promise: the write before may have been done. */
const EXPECTED_REFUSALS = /EBADF|ENOENT/;

class Worker {
  readonly ledger: Ledger;
  readonly session: OpenedSession;
  readonly #dice: Dice;
  readonly #traffic: Traffic;

  constructor(session: OpenedSession, seed: number, traffic: Traffic) {
    this.session = session;
    this.ledger = new Ledger(session.client);
    this.#dice = new Dice(seed);
    this.#traffic = traffic;
  }

  async work(): Promise<void> {
    while (!this.#traffic.isStopping) {
      for (const answer of await this.#step()) {
        this.#traffic.count(answer);
        if (answer.fate === "unavailable" || answer.fate === "unknown") await delay(BACKOFF_MS);
      }
    }
  }

  /** One operation or a pair that leaves nothing. */
  async #step(): Promise<FaultAnswer[]> {
    const { client } = this.session;
    switch (this.#dice.below(8)) {
      case 0:
      case 1:
        return [await this.ledger.push()];
      case 2:
        return [await this.ledger.create()];
      case 3:
        return [await this.ledger.run()];
      case 4:
        return [await client.post(`/v1/fds/${ARRAY}/batch`, BATCH)];
      case 5:
        return [await client.get(`/v1/fds/${QUEUE}`), await client.get("/v1/session")];
      case 6:
        return this.#mapAndPin();
      default:
        return this.#child();
    }
  }

  async #mapAndPin(): Promise<FaultAnswer[]> {
    const { client } = this.session;
    const path = `/v1/fs?path=/p${this.session.id}-${this.#dice.u32()}`;
    const made = await client.post("/v1/maps", MAP);
    if (made.fate !== "done") return [made];
    const pinned = await client.put(path, { type: "pin", fd: made.body.fd });
    const closed = await client.del(`/v1/fds/${made.body.fd}`);
    if (pinned.fate !== "done") return [made, pinned, closed];
    return [made, pinned, closed, await client.del(path)];
  }

  async #child(): Promise<FaultAnswer[]> {
    const { client } = this.session;
    const forked = await client.post("/v1/session/fork");
    if (forked.fate !== "done") return [forked];
    const child = new FaultClient(client.bases, forked.body.token);
    const answers = [await child.get(`/v1/fds/${PROG}`), await child.del("/v1/session")];
    const isLost = ({ status }: FaultAnswer) => this.#traffic.options.mayLose && status === 410;
    return [forked, ...answers.filter((answer) => !isLost(answer))];
  }
}

export class Traffic {
  readonly options: Required<TrafficOptions>;
  readonly problems: string[] = [];
  readonly answers: Record<FaultAnswer["fate"], number> = {
    ...{ done: 0, refused: 0, unavailable: 0, unknown: 0, broken: 0 },
  };
  isStopping = false;
  #workers: Worker[] = [];
  #running: Promise<void>[] = [];

  constructor(options: TrafficOptions) {
    this.options = { sessions: 2, ttl: 5000, mayLose: false, ...options };
  }

  get sessions(): readonly OpenedSession[] {
    return this.#workers.map(({ session }) => session);
  }

  async start(): Promise<void> {
    const { bases, namespaces, sessions, ttl } = this.options;
    for (const [i, namespace] of namespaces.entries()) {
      for (let n = 0; n < sessions; n++) {
        const session = await openSession(bases, namespace, { ttl_ms: ttl }, i + n);
        const worker = new Worker(session, 1 + i * sessions + n, this);
        await worker.ledger.setUp();
        this.#workers.push(worker);
      }
    }
    this.#running = this.#workers.map((worker) => worker.work());
  }

  count(answer: FaultAnswer): void {
    this.answers[answer.fate] += 1;
    const text = describeAnswer(answer);
    if (answer.fate === "broken") this.problems.push(text);
    if (answer.status === 410) this.problems.push(`a living session was lost: ${text}`);
    else if (answer.fate === "refused" && !EXPECTED_REFUSALS.test(text)) this.problems.push(text);
    if (answer.status === 503 && answer.headers["retry-after"] === undefined) {
      this.problems.push(`no Retry-After: ${text}`);
    }
  }

  /** Resolves after so many more answers of success. */
  async untilDone(more: number, limit = 30_000): Promise<void> {
    const wanted = this.answers.done + more;
    for (const end = performance.now() + limit; this.answers.done < wanted; await delay(10)) {
      if (performance.now() > end) throw new Error(`fewer than ${more} successes in ${limit} ms`);
    }
  }

  /** Stops the load, compares the ledgers and ends the sessions. */
  async finish(): Promise<void> {
    this.isStopping = true;
    await Promise.all(this.#running);
    // All at once, because a session that waits for others would end.
    await Promise.all(this.#workers.map((worker) => this.#compare(worker)));
  }

  async #compare({ ledger, session }: Worker): Promise<void> {
    const wrong = await ledger.differences();
    const isLoss = (text: string) => this.options.mayLose && /lost|counted/.test(text);
    this.problems.push(...wrong.filter((text) => !isLoss(text)));
    await insist(() => session.client.del("/v1/session"));
  }

  /** For the report. */
  get figures(): string {
    const { done, unavailable, unknown } = this.answers;
    return `${done} successes, ${unavailable} x 503 not done, ${unknown} unknown`;
  }
}
