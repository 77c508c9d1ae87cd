import { setTimeout as delay } from "node:timers/promises";
import { Child } from "./child.ts";
import { BpfError, type DemoSession, type MapReply, type ProgReply, session } from "./client.ts";
import type { Claims } from "./report.ts";
import { FILTERS, PACKETS, type ProgramIds, type Protocol, route } from "./tc.ts";

/** The fixture of the demo's steps: a namespace, its processes, and a monitor that holds nothing. */

const TIMEOUT_MS = 30_000;

const mapInWords = ({ refcnt, usercnt, map_type, entries }: MapReply) =>
  `refcnt ${refcnt}, usercnt ${usercnt}${map_type === "prog_array" ? `, filled ${entries}` : ""}`;

/** Returns undefined for an object that no longer exists. @throws any other error */
function unlessGone(error: unknown): undefined {
  if (error instanceof BpfError && error.problem.errno === "ENOENT") return undefined;
  throw error;
}

export class Fixture {
  readonly monitor: DemoSession;
  readonly claims: Claims;
  readonly #env: Record<string, string>;
  readonly #children: Child[] = [];
  #cleared = false;

  constructor(monitor: DemoSession, claims: Claims, url: string, namespace: string) {
    this.monitor = monitor;
    this.claims = claims;
    this.#env = { BPF_URL: url, BPF_NAMESPACE: namespace };
  }

  start(file: string, ...args: string[]): Child {
    if (this.#cleared) throw new Error("the demo is over");
    const child = new Child(file, args, this.#env);
    this.#children.push(child);
    return child;
  }

  /** Another process' session, by its token. */
  as(token: string): DemoSession {
    return session(this.#env.BPF_URL ?? "", token);
  }

  /** Claims that both texts are the same, and prints the first. */
  #same(name: string, got: string, wanted: string): void {
    const same = got === wanted;
    this.claims.claim(`${name}: ${got}${same ? "" : ` (not ${wanted})`}`, same);
  }

  /** @param counts "refcnt 1, usercnt 1", with ", filled 1" for a program array, or "gone" */
  async map(name: string, id: number, counts: string): Promise<void> {
    const info = await this.monitor.call<MapReply>("GET", `/v1/maps/${id}`).catch(unlessGone);
    this.#same(name, info ? mapInWords(info) : "gone", counts);
  }

  /** @param counts "refcnt 1" or "gone" */
  async prog(name: string, id: number, counts: string): Promise<void> {
    const info = await this.monitor.call<ProgReply>("GET", `/v1/progs/${id}`).catch(unlessGone);
    this.#same(name, info ? `refcnt ${info.refcnt}` : "gone", counts);
  }

  /** Reads an element of a pinned map. */
  async read<T>(path: string, key: string): Promise<T> {
    const { fd } = await this.monitor.open(path);
    const value = await this.monitor.lookupJson<T>(fd, key);
    await this.monitor.close(fd);
    return value;
  }

  /** Sends a packet through ingress; claims its route and its verdict. */
  async packet(ids: ProgramIds, protocol: Protocol, goes: string, gets: number): Promise<void> {
    const { retval, programs } = await this.monitor.run(`${FILTERS}/ingress`, PACKETS[protocol]);
    const got = `${route(ids, programs)}, retval ${retval}`;
    this.#same(`${protocol} packet`, got, `${goes}, retval ${gets}`);
  }

  async sessions(): Promise<{ id: number; label: string }[]> {
    type Page = { sessions: { id: number; label: string }[] };
    return (await this.monitor.call<Page>("GET", "/v1/sessions")).sessions;
  }

  /** Waits until no session has this label. */
  async untilEnded(label: string): Promise<void> {
    for (const end = Date.now() + TIMEOUT_MS; Date.now() < end; await delay(50)) {
      if (!(await this.sessions()).some((living) => living.label === label)) return;
    }
    throw new Error(`the session of ${label} does not end`);
  }

  /** Ends every process and session, and leaves no pin: also when a step broke off. */
  async clear(): Promise<void> {
    this.#cleared = true;
    for (const { process, ended } of this.#children) {
      if (process.exitCode !== null || process.signalCode !== null) continue;
      process.kill("SIGKILL");
      await ended;
    }
    for (const { id, label } of await this.sessions()) {
      if (label !== "monitor") await this.monitor.call("DELETE", `/v1/sessions/${id}`);
    }
    await this.monitor.unlink("/tc").catch(unlessGone);
    await this.monitor.exit();
  }
}
