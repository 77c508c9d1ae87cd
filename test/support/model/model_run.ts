import { expect } from "vitest";
import { Client, type TestReply, type TestService, type TestSession } from "../service.ts";
import { BpfModel, calls, type ModelOutcome } from "./model.ts";
import type { ModelProcess, ModelState } from "./state.ts";

/** Runs a model beside a namespace of the service; every call goes to both and must match. */

export type ModelCall = (state: ModelState, process: ModelProcess) => object;
export type ModelRequest = [method: string, path: string, body?: unknown];

/** Counts how often each errno, or ok, was returned, over all runs. */
export const tally = new Map<string, number>();

const plain = (value: unknown) => JSON.parse(JSON.stringify(value ?? null));

/** Selects the fields of a response that the model predicts. */
function comparedPart(answer: TestReply, expected: object | undefined): ModelOutcome {
  if (answer.status >= 300) return { errno: answer.body?.errno ?? `HTTP ${answer.status}` };
  return { ok: project(answer.body, plain(expected ?? {})) as object };
}

/** Only this array has a meaningful order. */
const ORDERED = "map_ids";

/** Sorts all other arrays and keeps only the fields of `like` in objects. */
function project(value: unknown, like: unknown, name = ""): unknown {
  if (Array.isArray(value)) {
    const [model] = Array.isArray(like) ? like : [];
    const items = value.map((item) => project(item, model ?? item));
    return name === ORDERED ? items : items.sort(byText);
  }
  if (typeof like !== "object" || like === null || typeof value !== "object") return value;
  const fields = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(like).map(([field, item]) => [field, project(fields[field], item, field)]),
  );
}

const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

export class ModelRun {
  readonly model = new BpfModel();
  readonly namespace: string;
  readonly log: string[] = [];
  readonly #service: TestService;
  readonly #clients = new Map<number, TestSession>();

  constructor(service: TestService) {
    this.#service = service;
    this.namespace = service.namespace();
  }

  /** Makes a call of process `pid` in the model and in the service. */
  async call(pid: number, call: ModelCall, request: ModelRequest): Promise<ModelOutcome> {
    const client = this.#clients.get(pid) ?? new Client(this.#service.base);
    const answer = await client.send(...request);
    const expected = this.model.run(pid, call);
    const born = answer.body?.token;
    if (born) this.#clients.set(answer.body.session.id, this.client(pid).as(answer.body));
    return this.#compare(
      `${pid}: ${request.map((part) => JSON.stringify(part)).join(" ")}`,
      answer,
      expected,
    );
  }

  async spawn(uid: number, nofile: number): Promise<void> {
    const gid = uid;
    const session = await this.#service.session(this.namespace, { uid, gid, nofile });
    this.#clients.set(session.id, session);
    const expected = this.model.spawn(uid, nofile);
    this.log.push(`spawn ${session.id} uid ${uid} nofile ${nofile}`);
    expect({ ok: { session: { id: session.id, uid, nofile } } }).toEqual(expected);
  }

  client(pid: number): TestSession {
    const client = this.#clients.get(pid);
    if (!client) throw new Error(`process ${pid} was never born`);
    return client;
  }

  /** Compares everything visible: lists by id, every fd table, the tree. `pid` belongs to root. */
  async observe(pid: number): Promise<void> {
    for (const kind of ["map", "prog"] as const) {
      const answer = await this.client(pid).get(`/v1/${kind}s?limit=1000`);
      this.#compare(`list of ${kind}s`, answer, { ok: { [`${kind}s`]: this.model.list(kind) } });
    }
    for (const { id } of this.model.processes) await this.call(id, calls.list, ["GET", "/v1/fds"]);
    await this.#directory(pid, "/");
  }

  async #directory(pid: number, path: string): Promise<void> {
    const where = `/v1/fs?path=${encodeURIComponent(path)}`;
    await this.call(pid, (state, process) => calls.readdir(state, process, path), ["GET", where]);
    const node = (await this.client(pid).get(where)).body;
    for (const { name, type } of node.entries ?? []) {
      // A name with a dot can be created where no mode bit is set, but cannot be looked up later.
      const dotted = name.includes(".");
      if (type === "directory" && !dotted)
        await this.#directory(pid, `${path === "/" ? "" : path}/${name}`);
    }
  }

  #compare(what: string, answer: TestReply, expected: ModelOutcome): ModelOutcome {
    const wanted: ModelOutcome = expected.ok
      ? { ok: project(plain(expected.ok), plain(expected.ok)) as object }
      : expected;
    const got = comparedPart(answer, expected.ok);
    this.log.push(`${what} -> ${JSON.stringify(got)}`);
    const name = got.errno ?? "ok";
    tally.set(name, (tally.get(name) ?? 0) + 1);
    expect(got, this.log.join("\n")).toEqual(wanted);
    return got;
  }
}
