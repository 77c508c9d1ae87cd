import type { MapInfo } from "../commands/info.ts";
import {
  DEVMAPS,
  MAPS_OF_MAPS,
  type MapPlan,
  type PlannedShape,
  truncateName,
} from "../elf/plan.ts";
import { Errno } from "../errno.ts";
import { BPF_F_NUMA_NODE, BPF_F_RDONLY_PROG } from "../isa/uapi.ts";
import { type Journal, undefinedOnErrno, withName } from "./journal.ts";
import type { Pins } from "./pins.ts";

/** Creates the maps of a plan, or reuses pinned ones (bpf_object__create_maps() of libbpf.c). */

export interface LoadedMap {
  name: string;
  fd: number;
  id: number;
  /** The path of its pin. */
  pinned?: string;
  /** It was pinned before, and reused. */
  reused?: true;
}

const COMPARED_FIELDS = [
  "map_type",
  "key_size",
  "value_size",
  "max_entries",
  "map_flags",
  "map_extra",
] as const;

export function u32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
}

/** Describes the attributes that differ; the kernel adds a flag to a devmap. */
function describeDifferences(existing: MapInfo, plan: MapPlan): string {
  const kernelFlags = DEVMAPS.includes(plan.map_type) ? BPF_F_RDONLY_PROG : 0;
  const info = { ...existing, map_flags: existing.map_flags & ~kernelFlags };
  return COMPARED_FIELDS.filter((field) => String(info[field]) !== String(plan[field]))
    .map((field) => `${field} is ${info[field]}, must be ${plan[field]}`)
    .join("; ");
}

export class MapLoader {
  readonly #journal: Journal;
  readonly #pins: Pins;
  readonly #plans: readonly MapPlan[];
  readonly #loaded = new Map<MapPlan, LoadedMap>();

  constructor(journal: Journal, pins: Pins, plans: readonly MapPlan[]) {
    this.#journal = journal;
    this.#pins = pins;
    this.#plans = plans;
  }

  /** Returns the maps in the order of the plan; templates are created first. */
  async load(): Promise<LoadedMap[]> {
    const withInner = this.#plans.filter(({ inner }) => typeof inner === "number");
    for (const plan of [...this.#plans.filter((each) => !withInner.includes(each)), ...withInner]) {
      const map = await withName(`map '${plan.name}'`, () => this.#loadMap(plan));
      this.#loaded.set(plan, map);
    }
    for (const plan of this.#plans)
      await withName(`map '${plan.name}'`, () => this.#fillSlots(plan));
    return this.#plans.map((plan) => this.#loadedMap(plan));
  }

  #loadedMap(plan: MapPlan | undefined): LoadedMap {
    return this.#loaded.get(plan as MapPlan) as LoadedMap;
  }

  async #loadMap(plan: MapPlan): Promise<LoadedMap> {
    const { pin } = plan;
    if (pin === undefined) return this.#createMap(plan);
    return (
      (await this.#reuse(plan, pin)) ??
      (await this.#createPinned(plan, pin)) ??
      // Another load has pinned the map meanwhile.
      (await this.#reuse(plan, pin)) ??
      Promise.reject(new Errno("ENOENT", `cannot find pinned map at '${pin}'`))
    );
  }

  /** bpf_object__reuse_map(); returns undefined when nothing is pinned there. */
  async #reuse(plan: MapPlan, pin: string): Promise<LoadedMap | undefined> {
    const { kernel } = this.#journal;
    const existing = await undefinedOnErrno(
      "ENOENT",
      this.#journal.openFd((call) => kernel.objGet(call, pin, 0)),
    );
    if (!existing) return undefined;
    const info = await kernel.objGetInfoByFd(this.#journal.nextCall(), existing.fd);
    const mismatch = info.kind === "map" ? describeDifferences(info, plan) : "the pin is a program";
    if (mismatch) throw new Errno("EINVAL", `couldn't reuse pinned map at '${pin}': ${mismatch}`);
    return { name: plan.name, fd: existing.fd, id: existing.id, pinned: pin, reused: true };
  }

  /** Returns undefined when the path exists meanwhile. */
  async #createPinned(plan: MapPlan, pin: string): Promise<LoadedMap | undefined> {
    const map = await this.#createMap(plan);
    const pinned = this.#pins.pin(pin, map.fd).then(() => true);
    if (await undefinedOnErrno("EEXIST", pinned)) return { ...map, pinned: pin };
    await this.#journal.close(map.fd);
    return undefined;
  }

  async #createMap(plan: MapPlan): Promise<LoadedMap> {
    const { name, map_name, data, frozen, numa_node, map_flags } = plan;
    const { kernel } = this.#journal;
    if (map_flags & BPF_F_NUMA_NODE && numa_node > 0) {
      throw new Errno("EINVAL", `numa_node must be 0, got ${numa_node}`);
    }
    const template = await this.#innerTemplate(plan);
    const { fd, id } = await this.#createWithSchema(plan, map_name, template, plan);
    if (template !== undefined && typeof plan.inner === "object")
      await this.#journal.close(template);
    const key = u32(0);
    if (data)
      await kernel.mapUpdateElem(this.#journal.nextCall(), fd, { key: key, value: data }, 0, "");
    if (frozen) await kernel.mapFreeze(this.#journal.nextCall(), fd);
    return { name, fd, id };
  }

  /** Returns the fd of the template of a map of maps. */
  async #innerTemplate({ name, inner }: MapPlan): Promise<number | undefined> {
    if (typeof inner === "number") return this.#loadedMap(this.#plans[inner]).fd;
    return (
      inner &&
      (await this.#createWithSchema(inner, truncateName(`${name}.inner`), undefined, {})).fd
    );
  }

  /** Tries again without a rejected schema, as libbpf does without BTF. */
  async #createWithSchema(
    shape: PlannedShape,
    map_name: string,
    inner_map_fd: number | undefined,
    { schema }: Partial<MapPlan>,
  ): Promise<{ fd: number; id: number }> {
    const { kernel } = this.#journal;
    const attr = { ...shape, map_name, inner_map_fd };
    try {
      return await this.#journal.openFd((call) => kernel.mapCreate(call, { ...attr, schema }));
    } catch (error) {
      if (!schema || !(error instanceof Errno)) throw error;
      return this.#journal.openFd((call) => kernel.mapCreate(call, { ...attr, schema: undefined }));
    }
  }

  /** Fills the slots of a map of maps, unless it is reused. */
  async #fillSlots(plan: MapPlan): Promise<void> {
    const { fd, reused } = this.#loadedMap(plan);
    if (reused || !MAPS_OF_MAPS.includes(plan.map_type)) return;
    for (const { index, of } of plan.slots) {
      const element = { key: u32(index), value: u32(this.#loadedMap(this.#plans[of]).fd) };
      await this.#journal.kernel.mapUpdateElem(this.#journal.nextCall(), fd, element, 0, "");
    }
  }
}
