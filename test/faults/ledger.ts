import { type FaultAnswer, type FaultClient, insist } from "./http.ts";

/**
 * What a session has written, with the fate of each write. At the end the contents are compared: what was
 * answered with success is there once, what was surely not done is not there, and nothing is there twice.
 */

/** A queue, an array whose element 0 a program adds to, and a hash, in this order of descriptors from 3 on. */
const MAPS = [
  { map_type: "queue", key_size: 0, value_size: 4, max_entries: 100_000, map_name: "ledger" },
  { map_type: "array", key_size: 4, value_size: 8, max_entries: 4, map_name: "hits" },
  { map_type: "hash", key_size: 4, value_size: 4, max_entries: 100_000, map_name: "once" },
];
export const [QUEUE, ARRAY, HASH, PROG] = [3, 4, 5, 6];

/** Adds 1 to element 0 of the array. */
const COUNT = [
  ...["*(u32 *)(r10 -4) = 0", `r1 = map[fd:${ARRAY}]`, "r2 = r10", "r2 += -4"],
  ...["call map_lookup_elem", "if r0 == 0 goto out", "r1 = 1", "lock *(u64 *)(r0 +0) += r1"],
  ...["out:", "r0 = 0", "exit"],
];
const PACKET = "00".repeat(64);
const DRAINED = 1000;

type RunCount = { done: number; unknown: number };

export class Ledger {
  readonly client: FaultClient;
  readonly #pushed = new Map<number, FaultAnswer["fate"]>();
  readonly #created = new Map<number, FaultAnswer["fate"]>();
  readonly #runs: RunCount = { done: 0, unknown: 0 };
  #next = 0;

  constructor(client: FaultClient) {
    this.client = client;
  }

  /** Makes the maps and the program. The session is new, so a repeat may find one made already. */
  async setUp(): Promise<void> {
    for (const map of MAPS) await insist(() => this.client.post("/v1/maps", map));
    await insist(() => this.client.post("/v1/progs", { prog_type: "xdp", asm: COUNT }));
  }

  async push(): Promise<FaultAnswer> {
    const value = this.#next++;
    const answer = await this.client.post(`/v1/fds/${QUEUE}/push`, { value: `u32:${value}` });
    this.#pushed.set(value, answer.fate);
    return answer;
  }

  /** Creates an element that must not exist: a second execution is refused. */
  async create(): Promise<FaultAnswer> {
    const key = this.#next++;
    const path = `/v1/fds/${HASH}/elements/u32:${key}`;
    const answer = await this.client.put(path, { value: `u32:${key}`, flags: 1 });
    this.#created.set(key, answer.fate);
    return answer;
  }

  async run(): Promise<FaultAnswer> {
    const answer = await this.client.post(`/v1/fds/${PROG}/test-run`, { data_in: PACKET });
    if (answer.fate === "done") this.#runs.done += 1;
    if (answer.fate === "unknown") this.#runs.unknown += 1;
    return answer;
  }

  /** Returns what is lost, doubled, or done although the answer said that it was not. */
  async differences(): Promise<string[]> {
    const queued = await this.#drain();
    const created = await this.#keys();
    return [
      ...compare("push", this.#pushed, queued),
      ...compare("element", this.#created, created),
      ...(await this.#compareRuns()),
    ];
  }

  async #drain(): Promise<number[]> {
    const values: number[] = [];
    for (;;) {
      const { body } = await insist(() => this.client.post(`/v1/fds/${QUEUE}/pop`), 5000).catch(
        () => ({ body: undefined }),
      );
      if (body === undefined) return values;
      values.push(Buffer.from(body.value, "hex").readUInt32LE());
    }
  }

  async #keys(): Promise<number[]> {
    const keys: number[] = [];
    for (let cursor = ""; ; ) {
      const path = `/v1/fds/${HASH}/elements?limit=${DRAINED}${cursor}`;
      const { body } = await insist(() => this.client.get(path));
      for (const { key } of body.elements) keys.push(Buffer.from(key, "hex").readUInt32LE());
      if (body.next_cursor === undefined) return keys;
      cursor = `&cursor=${body.next_cursor}`;
    }
  }

  async #compareRuns(): Promise<string[]> {
    const path = `/v1/fds/${ARRAY}/elements/u32:0`;
    const { body } = await insist(() => this.client.get(path));
    const counted = Number(Buffer.from(body.value, "hex").readBigUInt64LE());
    const { done, unknown } = this.#runs;
    if (done <= counted && counted <= done + unknown) return [];
    return [`${done} runs succeeded, ${unknown} are unknown, but ${counted} were counted`];
  }
}

function compare(
  noun: string,
  expected: ReadonlyMap<number, FaultAnswer["fate"]>,
  found: readonly number[],
): string[] {
  const counts = new Map<number, number>();
  for (const value of found) counts.set(value, (counts.get(value) ?? 0) + 1);
  const wrong = { lost: 0, doubled: 0, "done although the answer said no": 0 };
  for (const [value, fate] of expected) {
    const count = counts.get(value) ?? 0;
    if (count > 1) wrong.doubled += 1;
    if (fate === "done" && count === 0) wrong.lost += 1;
    if (fate !== "done" && fate !== "unknown" && count > 0) {
      wrong["done although the answer said no"] += 1;
    }
  }
  return Object.entries(wrong).flatMap(([how, n]) => (n ? [`${noun}: ${n} ${how}`] : []));
}
