import type { ElfFile, Relocation } from "./elf_file.ts";
import { type Func, TEXT } from "./functions.ts";
import type { BtfMap } from "./map_btf.ts";
import type { LegacyMap } from "./map_legacy.ts";
import { BTF_DEFINED, type ObjectMaps } from "./maps.ts";
import { malformed } from "./object_errors.ts";
import { MAPS_OF_MAPS, PROG_ARRAY } from "./plan.ts";

/** The initial contents of program arrays and of maps of maps. */

const POINTER = 8;

/** Fills `values` of BTF-defined maps from relocations against maps and functions. */
export function fillBtfSlots(elf: ElfFile, maps: ObjectMaps, programs: readonly Func[]): void {
  const section = elf.section(BTF_DEFINED);
  if (!section) return;
  // The first of two programs with one name wins, as in libbpf.
  const places = new Map(programs.map(({ name }, i) => [name, i] as const).reverse());
  for (const relocation of elf.relocations(section)) {
    const i = maps.defined.findIndex((map) => isInValues(map, relocation));
    const map = maps.defined[i];
    if (!map)
      throw malformed(
        `.maps: the relocation at ${relocation.offset} is not in the values of a map`,
      );
    const index = (relocation.offset - map.offset - (map.values ?? 0)) / POINTER;
    const of = resolveTarget(map, relocation, maps, places);
    if (!Number.isInteger(index))
      throw malformed(`map '${map.name}': a relocation must be at the start of a slot`);
    maps.plans[maps.legacy.length + i]?.slots.push({ index, of });
  }
}

function isInValues({ offset, size, values }: BtfMap, at: Relocation): boolean {
  return (
    values !== undefined && at.offset >= offset + values && at.offset + POINTER <= offset + size
  );
}

function resolveTarget(
  { name, map_type, key_size }: BtfMap,
  { symbol }: Relocation,
  maps: ObjectMaps,
  programs: ReadonlyMap<string, number>,
): number {
  if (MAPS_OF_MAPS.includes(map_type)) {
    if (key_size !== 4) throw malformed(`map '${name}': should have key size 4`);
    const inner = maps.byDefinition.get(`${symbol.section} ${symbol.value}`);
    if (inner !== undefined) return inner;
    throw malformed(`map '${name}': '${symbol.name}' isn't a BTF-defined map`);
  }
  const program = programs.get(symbol.name);
  if (program !== undefined) return program;
  throw malformed(`map '${name}': '${symbol.name}' isn't an entry-point program that is loaded`);
}

/** Sets the template and the slots of iproute2's maps of maps: each inner map names its slot. */
export function fillLegacySlots(maps: ObjectMaps): void {
  const { legacy, plans } = maps;
  for (const [i, outer] of legacy.entries()) {
    const plan = plans[i];
    if (!plan || !MAPS_OF_MAPS.includes(outer.map_type)) continue;
    const inner = legacy.findIndex(({ id }) => id > 0 && id === outer.inner_id);
    if (inner < 0)
      throw malformed(`map '${outer.name}': no inner map has the id ${outer.inner_id}`);
    plan.inner = inner;
    plan.slots = legacy
      .map(({ id, inner_id, inner_idx }, of) => ({ id, inner_id, index: inner_idx, of }))
      .filter(
        ({ id, inner_id, index }) =>
          id === outer.inner_id && inner_id === 0 && index !== 0xffff_ffff,
      )
      .map(({ index, of }) => ({ index, of }));
  }
}

/** The section of a tail-call program of tc: "MAP_ID/SLOT". */
const TAIL_SECTION = /^(0x[\da-f]+|\d+)\/(0x[\da-f]+|\d+)$/i;

export interface TailSlot {
  map: number;
  index: number;
}

/** Returns the slot that the section's name stands for; undefined for another name. */
export function parseTailSlot(section: string, legacy: readonly LegacyMap[]): TailSlot | undefined {
  const [, id, index] = TAIL_SECTION.exec(section) ?? [];
  const map = legacy.findIndex((each) => each.id === Number(id) && each.map_type === PROG_ARRAY);
  return id === undefined || map < 0 ? undefined : { map, index: Number(index) };
}

/** Returns the functions outside of ".text"; a section with "?" is not loaded. */
export function findEntryPoints(funcs: readonly Func[]): Func[] {
  return funcs.filter(({ section }) => section.name !== TEXT && !section.name.startsWith("?"));
}
