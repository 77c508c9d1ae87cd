import type { MapView } from "../../domain/runtime/job.ts";
import { u32 } from "./bytes.ts";
import type { TestMapView } from "./runtime_jobs.ts";

/** Generates random programs over one map whose return value depends on every helper result. */

type Random = (below: number) => number;

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

export const TYPES = ["hash", "array", "percpu_hash", "percpu_array", "lpm_trie", "queue", "stack"];
const VALUE = 8;
const TELL = "r9 *= 31\nr9 += r0\n";
const STEPS = 12;

export interface RandomRun {
  map: TestMapView;
  text: string;
}

class ListingWriter {
  text = "r9 = 7\n";
  #labels = 0;
  readonly #type: string;
  readonly #random: Random;

  constructor(type: string, random: Random) {
    this.#type = type;
    this.#random = random;
  }

  key(): Buffer {
    if (this.#type !== "lpm_trie") return u32(this.#random(6));
    const length = pick(this.#random, [0, 8, 8, 16, 16, 24, 32, 33]);
    return Buffer.concat([u32(length), Buffer.from([10, this.#random(2), this.#random(3), 1])]);
  }

  #setKey(): void {
    const key = this.key();
    for (let at = 0; at < key.length; at += 4) {
      this.text += `*(u32 *)(r10 -${8 - at}) = ${key.readInt32LE(at)}\n`;
    }
    this.text += "r2 = r10\nr2 += -8\nr1 = map[fd:0]\n";
  }

  #setValue(register: string): void {
    this.text += `*(u64 *)(r10 -32) = ${this.#random(1 << 30)}\n${register} = r10\n${register} += -32\n`;
  }

  #call(helper: string): void {
    this.text += `call ${helper}\n`;
  }

  lookup(): void {
    this.#setKey();
    this.#call("bpf_map_lookup_elem#1");
    const label = `l${this.#labels++}`;
    const write = `r2 = r1\nr2 ^= ${this.#random(1 << 30)}\n*(u64 *)(r0 +0) = r2\n`;
    this.text += `if r0 == 0 goto ${label}\nr1 = *(u64 *)(r0 +0)\n${this.#random(2) ? write : ""}`;
    this.text += `r0 = r1\n${label}:\n${TELL}`;
  }

  update(): void {
    this.#setKey();
    this.#setValue("r3");
    this.text += `r4 = ${pick(this.#random, [0, 0, 0, 1, 2, 3])}\n`;
    this.#call("bpf_map_update_elem#2");
    this.text += TELL;
  }

  delete(): void {
    this.#setKey();
    this.#call("bpf_map_delete_elem#3");
    this.text += TELL;
  }

  push(): void {
    this.#setValue("r2");
    this.text += `r1 = map[fd:0]\nr3 = ${pick(this.#random, [0, 0, 0, 2, 1, 3])}\n`;
    this.#call("bpf_map_push_elem#87");
    this.text += TELL;
  }

  take(): void {
    this.text += "r1 = map[fd:0]\nr2 = r10\nr2 += -64\n*(u64 *)(r10 -64) = 99\n";
    this.#call(pick(this.#random, ["bpf_map_pop_elem#88", "bpf_map_peek_elem#89"]));
    this.text += `${TELL}r0 = *(u64 *)(r10 -64)\n${TELL}`;
  }

  steps(): string {
    const queue = this.#type === "queue" || this.#type === "stack";
    const kinds = queue
      ? [this.push, this.take]
      : [this.lookup, this.lookup, this.update, this.update, this.delete];
    for (let i = 0; i < STEPS; i++) pick(this.#random, kinds).call(this);
    return `${this.text}r0 = r9\nexit`;
  }
}

/** Identifies the element of a key; in a trie only the prefix counts. */
export function identity(map_type: string, key: Uint8Array): string {
  const bytes = Buffer.from(key);
  if (map_type !== "lpm_trie") return bytes.toString("hex");
  const length = bytes.readUInt32LE(0);
  return `${length}:${BigInt(bytes.readUInt32BE(4)) >> BigInt(32 - length)}`;
}

export function sample(map_type: string, random: Random): RandomRun {
  const writer = new ListingWriter(map_type, random);
  const percpu = map_type.includes("percpu");
  const value = () => Buffer.from(Array.from({ length: percpu ? 16 : VALUE }, () => random(256)));
  const elements = new Map<string, MapView["elements"][number]>();
  const queue = map_type === "queue" || map_type === "stack";
  for (let i = map_type.includes("array") ? 4 : random(5); i > 0; i--) {
    const key = map_type.includes("array") ? u32(i - 1) : queue ? u32() : writer.key();
    if (map_type === "lpm_trie" && key.readUInt32LE(0) > 32) continue;
    elements.set(queue ? String(i) : identity(map_type, key), { key, value: value() });
  }
  const key_size = queue ? 0 : map_type === "lpm_trie" ? 8 : 4;
  const map = { map_type, key_size, value_size: VALUE, elements: [...elements.values()] };
  return { map: percpu ? { ...map, cpus: 2 } : map, text: writer.steps() };
}
