import { expect } from "vitest";
import { u32Hex } from "./bytes.ts";
import { RETURN_ZERO_HEX } from "./insns.ts";
import type { MapKind, TypeOutcome } from "./map_types.ts";
import { naming } from "./model/map_calls.ts";
import type { TestReply, TestService, TestSession } from "./service.ts";

/** Provides a map of any type behind an fd; element n has a key and a value of its own. */

const TEMPLATE = { map_type: "array", key_size: 4, value_size: 4, max_entries: 1 };
/** The fixture creates this many objects to fill slots. */
const OBJECTS = 6;

export function outcome({ status, body }: TestReply): TypeOutcome {
  return status < 300 ? "ok" : body.errno;
}

interface Held {
  fd: number;
  id: number;
}

export class MapFixture {
  readonly session: TestSession;
  readonly kind: MapKind;
  readonly fd: number;
  readonly id: number;
  readonly cpus: number;
  readonly objects: Held[];

  constructor(session: TestSession, kind: MapKind, made: Held, cpus: number, objects: Held[]) {
    this.session = session;
    this.kind = kind;
    this.fd = made.fd;
    this.id = made.id;
    this.cpus = cpus;
    this.objects = objects;
  }

  /** Returns the same map behind another fd. */
  behind(fd: number, session = this.session): MapFixture {
    return new MapFixture(session, this.kind, { fd, id: this.id }, this.cpus, this.objects);
  }

  get path(): string {
    return `/v1/fds/${this.fd}`;
  }

  key(n: number): string {
    if (!this.kind.keyed) return "";
    return this.kind.map_type === "lpm_trie" ? u32Hex(32) + u32Hex(n) : u32Hex(n);
  }

  get valueBytes(): number {
    const { percpu, value_size } = this.kind;
    return percpu ? Math.ceil(value_size / 8) * 8 * this.cpus : value_size;
  }

  /** Returns the value of element n in the form of a request. */
  value(n: number): unknown {
    const { fd } = this.objects[n % OBJECTS] ?? {};
    if (this.kind.target) return u32Hex(this.kind.target) + u32Hex(Number(fd));
    return this.kind.holds ? { fd } : Buffer.alloc(this.valueBytes, n + 1).toString("hex");
  }

  /** Returns the value of element n in the form of a JSON response. */
  jsonValue(n: number): unknown {
    const { id } = this.objects[n % OBJECTS] ?? {};
    if (this.kind.target) return u32Hex(this.kind.target) + u32Hex(Number(id));
    return this.kind.holds ? { id } : this.value(n);
  }

  element(n: number): string {
    return `${this.path}/elements/${this.key(n) || "hex:"}`;
  }

  /** @param as the number of the element whose value is written */
  update(n: number, flags = 0, as = n, headers?: Record<string, string>): Promise<TestReply> {
    const body = { value: this.value(as), flags };
    if (this.kind.keyed) return this.session.put(this.element(n), body, headers);
    return this.session.post(`${this.path}/push`, body, headers);
  }

  lookup(n: number): Promise<TestReply> {
    if (this.kind.keyed) return this.session.get(this.element(n));
    const query = this.kind.map_type === "bloom_filter" ? `?value=${this.value(n)}` : "";
    return this.session.get(`${this.path}/peek${query}`);
  }

  delete(n: number, headers?: Record<string, string>): Promise<TestReply> {
    return this.session.del(this.element(n), headers);
  }

  take(n: number): Promise<TestReply> {
    return this.session.post(this.kind.keyed ? `${this.element(n)}/take` : `${this.path}/pop`);
  }

  next(key?: string): Promise<TestReply> {
    return this.session.get(`${this.path}/next-key${key === undefined ? "" : `?key=${key}`}`);
  }

  dump(query = ""): Promise<TestReply> {
    return this.session.get(`${this.path}/elements?${query}`);
  }

  batch(body: object, headers?: Record<string, string>): Promise<TestReply> {
    return this.session.post(`${this.path}/batch`, body, headers);
  }

  async info() {
    return (await this.session.get(this.path)).body;
  }

  /** Adds elements up to `count`; in a map without keys, existing elements count. */
  async fill(count = this.kind.max_entries): Promise<void> {
    const first = this.kind.keyed ? 0 : (await this.info()).entries;
    for (let n = first; n < count; n++)
      expect(outcome(await this.update(n)), `fill ${n}`).toBe("ok");
  }

  /** Collects every key in the order of GET_NEXT_KEY. */
  async walk(): Promise<string[]> {
    const keys: string[] = [];
    for (;;) {
      const { status, body } = await this.next(keys.at(-1));
      if (status === 404) return keys;
      expect(status).toBe(200);
      keys.push(body.key);
    }
  }

  /** Loads a program that names the map, which holds the map without being a user of it. */
  async hold(): Promise<void> {
    const insns = naming([this.fd]);
    const { status } = await this.session.post("/v1/progs", { ...ofType(this.kind), insns });
    expect(status).toBe(201);
  }
}

const ofType = ({ attach }: MapKind) =>
  attach ? { prog_type: "xdp", expected_attach_type: attach } : {};

async function makeObjects(session: TestSession, kind: MapKind): Promise<Held[]> {
  const { holds } = kind;
  const objects: Held[] = [];
  for (let n = 0; holds && n < OBJECTS; n++) {
    const { status, body } =
      holds === "prog"
        ? await session.post("/v1/progs", { ...ofType(kind), insns: RETURN_ZERO_HEX })
        : await session.post("/v1/maps", TEMPLATE);
    expect(status).toBe(201);
    objects.push(body);
  }
  return objects;
}

/** Returns the attributes that create a map of the type. */
export function attributes(kind: MapKind, objects: Held[], changes: object = {}): object {
  const { map_type, key_size, value_size, max_entries, map_flags } = kind;
  const inner = kind.holds === "map" ? { inner_map_fd: objects[0]?.fd } : {};
  return { map_type, key_size, value_size, max_entries, map_flags, ...inner, ...changes };
}

export async function makeMapFixture(
  service: TestService,
  kind: MapKind,
  { cpus = kind.cpus ?? 2, changes = {} }: { cpus?: number; changes?: Partial<MapKind> } = {},
): Promise<MapFixture> {
  const session = await service.session(service.namespace(), { cpus });
  const changed = { ...kind, ...changes };
  const objects = await makeObjects(session, kind);
  const { status, body } = await session.post("/v1/maps", attributes(changed, objects));
  expect(status, JSON.stringify(body)).toBe(201);
  return new MapFixture(session, changed, body, cpus, objects);
}

/** Seeds random calls and prefixes; MAP_SEED repeats a failed run. */
export const SEED = Number(process.env.MAP_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Calls commands of a session directly in the domain, without HTTP. */
export const callOf = ({ kernel }: TestService, session: TestSession) => ({
  ...kernel.tokens.read(session.token ?? ""),
  record: "",
  fingerprint: "",
});

/** Creates a map, by default a small one, and returns its fd. */
export async function create(session: TestSession, attr: object): Promise<number> {
  const sizes = { key_size: 4, value_size: 4, max_entries: 8 };
  const { status, body } = await session.post("/v1/maps", { ...sizes, ...attr });
  expect(status, JSON.stringify(body)).toBe(201);
  return body.fd;
}
