import { createHash } from "node:crypto";
import { Errno } from "../errno.ts";
import { SchemaError } from "../schema/limits.ts";
import type { SchemaAttr } from "../schema/schema.ts";
import { extractTypes } from "./btf_excerpt.ts";
import type { ElfFile, Section } from "./elf_file.ts";
import { SYMBOL_NAME } from "./functions.ts";
import { type BtfMap, readBtfMaps } from "./map_btf.ts";
import { type DataMap, findDataMaps } from "./map_data.ts";
import { type LegacyMap, PIN_GLOBAL_NS, PIN_OBJECT_NS, readLegacyMaps } from "./map_legacy.ts";
import type { ObjectBtf } from "./object_btf.ts";
import { malformed, tooBig } from "./object_errors.ts";
import {
  joinPath,
  MAPS_OF_MAPS,
  MAX_MAPS,
  type MapPlan,
  PERF_EVENT_ARRAY,
  type PlanOptions,
  PROG_ARRAY,
  roundEntries,
  truncateName,
} from "./plan.ts";

/** Collects all maps of an object in the order in which the loader creates them. */

export const LEGACY = "maps";
export const BTF_DEFINED = ".maps";

/** Bytes of BTF in the schemas of all maps. */
const MAX_SCHEMAS = 1 << 20;

/** The fields that only BTF-defined maps have; fillLegacySlots() sets `inner` of a legacy map. */
const NO_BTF_FIELDS = {
  map_extra: "0",
  numa_node: 0,
  pin: undefined,
  inner: undefined,
  data: undefined,
};

export class ObjectMaps {
  readonly plans: MapPlan[] = [];
  /** At the same indexes as in `plans`: first the legacy maps, then the BTF-defined maps. */
  readonly legacy: readonly LegacyMap[];
  readonly defined: readonly BtfMap[];
  /** Indexes in `plans`, by "section offset" of a definition, and by section of data. */
  readonly byDefinition = new Map<string, number>();
  readonly bySection = new Map<number, number>();
  readonly #btf: ObjectBtf | undefined;
  readonly #options: PlanOptions;
  readonly #file: Buffer;
  readonly #budget = { left: MAX_SCHEMAS };

  constructor(file: Buffer, elf: ElfFile, btf: ObjectBtf | undefined, options: PlanOptions) {
    this.#btf = btf;
    this.#options = options;
    this.#file = file;
    const [legacy, defined] = [elf.section(LEGACY), elf.section(BTF_DEFINED)];
    this.legacy = legacy ? readLegacyMaps(elf, legacy) : [];
    for (const map of this.legacy) this.#addDefinition(legacy, map.offset, this.#planLegacy(map));
    if (defined && !btf) throw malformed("BTF is required, but is missing or corrupted");
    this.defined = defined && btf ? readBtfMaps(btf, defined) : [];
    for (const map of this.defined)
      this.#addDefinition(defined, map.offset, this.#planDefined(map));
    for (const map of findDataMaps(elf, btf, options.name)) {
      this.bySection.set(map.section.index, this.#addPlan(this.#planData(map)));
    }
    this.#overrideMaxEntries();
    this.#setPerCpuEntries();
  }

  #addDefinition(section: Section | undefined, offset: number, plan: MapPlan): void {
    if (!SYMBOL_NAME.test(plan.name)) throw malformed(`map '${plan.name}': invalid variable name`);
    this.byDefinition.set(`${section?.index} ${offset}`, this.#addPlan(plan));
  }

  #addPlan(plan: MapPlan): number {
    if (this.plans.length === MAX_MAPS)
      throw tooBig(`an object must have at most ${MAX_MAPS} maps`);
    return this.plans.push(plan) - 1;
  }

  /** bpf_map__set_max_entries() */
  #overrideMaxEntries(): void {
    for (const [name, max_entries] of Object.entries(this.#options.max_entries ?? {})) {
      const plan = this.plans.find((each) => each.name === name);
      if (!plan) throw malformed(`max_entries: the object has no map '${name}'`);
      plan.max_entries = roundEntries(plan.map_type, max_entries);
    }
  }

  /** map_set_def_max_entries() */
  #setPerCpuEntries(): void {
    for (const map of this.plans.flatMap((plan) => [plan, plan.inner])) {
      const isUnset = typeof map === "object" && map.max_entries === 0;
      if (isUnset && map.map_type === PERF_EVENT_ARRAY) map.max_entries = this.#options.cpus;
    }
  }

  /** Undefined for types that a schema cannot have: libbpf, too, goes on without BTF. */
  #extractSchema(key: number, value: number, section?: Section): SchemaAttr | undefined {
    try {
      return this.#btf && extractTypes(this.#btf, key, value, this.#budget, section);
    } catch (error) {
      if (error instanceof Errno || error instanceof SchemaError) return undefined;
      throw error;
    }
  }

  #planLegacy(map: LegacyMap): MapPlan {
    const { name, map_type, key_size, value_size, max_entries, map_flags } = map;
    const shape = { map_type, key_size, value_size, max_entries, map_flags };
    const [key = 0, value = 0] = this.#annotatedTypes(name);
    return {
      ...{
        ...NO_BTF_FIELDS,
        ...shape,
        name,
        map_name: truncateName(name),
        frozen: false,
        slots: [],
      },
      schema: this.#extractSchema(key, value),
      pin: this.#legacyPin(map),
    };
  }

  /** BPF_ANNOTATE_KV_PAIR() */
  #annotatedTypes(name: string): number[] {
    const struct = this.#btf?.struct(`____btf_map_${name}`);
    const members = (struct && this.#btf?.members(struct)) ?? [];
    return members.map(({ name }) => name).join() === "key,value"
      ? members.map(({ type }) => type)
      : [];
  }

  /** bpf_make_pathname() of iproute2: an object's own maps are pinned below its hash. */
  #legacyPin({ name, pinning }: LegacyMap): string | undefined {
    const root = joinPath(this.#options.pin_root, "tc");
    if (pinning === PIN_GLOBAL_NS) return joinPath(root, `globals/${name}`);
    if (pinning !== PIN_OBJECT_NS) return undefined;
    return joinPath(root, `${createHash("sha1").update(this.#file).digest("hex")}/${name}`);
  }

  #planDefined(map: BtfMap): MapPlan {
    const { name, key, value, pinned, inner } = map;
    const { map_type, key_size, value_size, max_entries, map_flags, map_extra, numa_node } = map;
    const holdsObjects = map_type === PROG_ARRAY || MAPS_OF_MAPS.includes(map_type);
    return {
      ...{ map_type, key_size, value_size, max_entries, map_flags, map_extra, numa_node },
      ...{ name, map_name: truncateName(name), inner, data: undefined, frozen: false, slots: [] },
      schema: this.#extractSchema(key, holdsObjects ? 0 : value),
      pin: pinned ? joinPath(this.#options.pin_root, name) : undefined,
    };
  }

  #planData({ name, map_name, section, map_flags, frozen, datasec }: DataMap): MapPlan {
    const shape = { map_type: "array", key_size: 4, value_size: section.size, max_entries: 1 };
    const data = section.data.length > 0 ? section.data : undefined;
    const schema = this.#extractSchema(0, datasec, section);
    return {
      ...NO_BTF_FIELDS,
      ...shape,
      name,
      map_name,
      map_flags,
      schema,
      data,
      frozen,
      slots: [],
    };
  }
}
