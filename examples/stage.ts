import { setTimeout as delay } from "node:timers/promises";
import { Child } from "./child.ts";
import { BpfError, type MapInfo, type Session, session } from "./client.ts";
import type { Claims } from "./report.ts";

/** Where the scenes play: one namespace, the processes in it, and an observer that holds nothing. */

const PATIENCE_MS = 30_000;

const GONE = "gone";
type Counts = { refcnt: number; usercnt: number; filled?: number } | typeof GONE;

function inWords(counts: Counts): string {
  if (counts === GONE) return GONE;
  const { refcnt, usercnt, filled } = counts;
  const users = `refcnt ${refcnt}, usercnt ${usercnt}`;
  return filled === undefined
    ? users
    : `${users}, ${filled} ${filled === 1 ? "slot" : "slots"} filled`;
}

/** `undefined` for an object that no longer exists. */
function unlessGone(error: unknown): undefined {
  if (error instanceof BpfError && error.problem.errno === "ENOENT") return undefined;
  throw error;
}

export class Stage {
  readonly observer: Session;
  readonly claims: Claims;
  readonly #env: Record<string, string>;
  readonly #children: Child[] = [];
  #cleared = false;

  constructor(observer: Session, claims: Claims, url: string, namespace: string) {
    this.observer = observer;
    this.claims = claims;
    this.#env = { BPF_URL: url, BPF_NAMESPACE: namespace };
  }

  start(file: string, ...args: string[]): Child {
    if (this.#cleared) throw new Error("the demo is over");
    const child = new Child(file, args, this.#env);
    this.#children.push(child);
    return child;
  }

  /** Another process' session, known by its token. */
  as(token: string): Session {
    return session(this.#env.BPF_URL ?? "", token);
  }

  map(id: number): Promise<MapInfo | undefined> {
    return this.observer.call<MapInfo>("GET", `/v1/maps/${id}`).catch(unlessGone);
  }

  prog(id: number): Promise<{ refcnt: number } | undefined> {
    return this.observer.call<{ refcnt: number }>("GET", `/v1/progs/${id}`).catch(unlessGone);
  }

  /** Prints a map's counts and claims that they are these. */
  async counts(name: string, id: number, expected: Counts): Promise<void> {
    const info = await this.map(id);
    const slots = expected !== GONE && "filled" in expected;
    const got = inWords(info ? { ...info, ...(slots && { filled: info.entries }) } : GONE);
    const wanted = inWords(expected);
    this.claims.claim(`${name}: ${got}${got === wanted ? "" : ` (not ${wanted})`}`, got === wanted);
  }

  async sessions(): Promise<{ id: number; label: string }[]> {
    type Page = { sessions: { id: number; label: string }[] };
    return (await this.observer.call<Page>("GET", "/v1/sessions")).sessions;
  }

  /** Waits until no session has this label. */
  async untilEnded(label: string): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await delay(50)) {
      if (!(await this.sessions()).some((living) => living.label === label)) return;
    }
    throw new Error(`the session of ${label} does not end`);
  }

  /** Ends every process and session, and leaves no pin: also when a scene broke off. */
  async clear(): Promise<void> {
    this.#cleared = true;
    for (const { process, ended } of this.#children) {
      if (process.exitCode !== null || process.signalCode !== null) continue;
      process.kill("SIGKILL");
      await ended;
    }
    for (const { id, label } of await this.sessions()) {
      if (label !== "observer") await this.observer.call("DELETE", `/v1/sessions/${id}`);
    }
    await this.observer.call("DELETE", "/v1/fs?path=/tc&recursive=true").catch(unlessGone);
    await this.observer.exit();
  }
}
