import { u32Hex } from "../bytes.ts";
import { fgetKind } from "./process.ts";
import { fail, type MapObject, type ModelProcess, type ModelState } from "./state.ts";

/** Models the elements of maps; each call checks in the kernel's order. */

const indexOf = (key: string) => Buffer.from(key, "hex").readUInt32LE();

export function access(process: ModelProcess, fd: number, mask: number): MapObject {
  const { object, mode } = fgetKind(process, fd, "map");
  if ((mode & mask) !== mask) fail("EPERM");
  if ((mask & 2) !== 0 && object.frozen) fail("EPERM");
  return object;
}

function checkLength(text: string, bytes: number): void {
  if (text.length !== 2 * bytes) fail("EINVAL");
}

/** Sets the program type of an array: the first program decides, and all later ones must match. */
export function adopt(map: MapObject, type: string): void {
  if (map.type !== "prog_array") return;
  map.owner ??= type;
  if (map.owner !== type) fail("EINVAL");
}

function updateSlot(
  process: ModelProcess,
  map: MapObject,
  index: number,
  fd: number,
  flags: number,
) {
  if (flags !== 0) fail("EINVAL");
  if (index >= map.maxEntries) fail("E2BIG");
  const prog = fgetKind(process, fd, "prog").object;
  adopt(map, prog.type);
  map.slots.set(index, prog);
}

function updateElement(map: MapObject, key: string, value: string, flags: number): void {
  if (flags > 2) fail("EINVAL");
  if (map.type === "array") {
    if (indexOf(key) >= map.maxEntries) fail("E2BIG");
    if (flags === 1) fail("EEXIST");
  } else if (map.elements.has(key)) {
    if (flags === 1) fail("EEXIST");
  } else {
    if (flags === 2) fail("ENOENT");
    if (map.elements.size >= map.maxEntries) fail("E2BIG");
  }
  map.elements.set(key, value);
}

function value(map: MapObject, key: string): string | { id: number } {
  const index = indexOf(key);
  const prog = map.slots.get(index);
  if (map.type === "prog_array") return prog ? { id: prog.id } : fail("ENOENT");
  if (map.type === "hash") return map.elements.get(key) ?? fail("ENOENT");
  if (index >= map.maxEntries) fail("ENOENT");
  return map.elements.get(key) ?? "00".repeat(map.valueSize);
}

export const elems = {
  lookup(_: ModelState, process: ModelProcess, fd: number, key: string) {
    const map = access(process, fd, 1);
    checkLength(key, 4);
    return { key, value: value(map, key) };
  },

  /** `given` is a value, or the fd of a program for a slot. */
  update(
    _: ModelState,
    process: ModelProcess,
    fd: number,
    key: string,
    given: string | number,
    flags: number,
  ) {
    const map = access(process, fd, 2);
    if ((flags & 4) !== 0) fail("EINVAL");
    checkLength(key, 4);
    if (typeof given === "number") updateSlot(process, map, indexOf(key), given, flags);
    else {
      checkLength(given, map.valueSize);
      updateElement(map, key, given, flags);
    }
    return {};
  },

  delete(_: ModelState, process: ModelProcess, fd: number, key: string) {
    const map = access(process, fd, 2);
    checkLength(key, 4);
    if (map.type === "array") fail("EINVAL");
    if (map.type === "prog_array" && indexOf(key) >= map.maxEntries) fail("E2BIG");
    if (!map.slots.delete(indexOf(key)) && !map.elements.delete(key)) fail("ENOENT");
    return {};
  },

  take(_: ModelState, process: ModelProcess, fd: number, key: string) {
    const map = access(process, fd, 3);
    checkLength(key, 4);
    if (map.type !== "hash") fail("ENOTSUPP");
    const taken = value(map, key);
    map.elements.delete(key);
    return { key, value: taken };
  },

  nextKey(_: ModelState, process: ModelProcess, fd: number, key: string | undefined) {
    const map = access(process, fd, 1);
    if (key !== undefined) checkLength(key, 4);
    if (map.type === "hash") {
      const keys = [...map.elements.keys()].sort();
      const at = key === undefined ? -1 : keys.indexOf(key);
      return { key: keys[at + 1] ?? fail("ENOENT") };
    }
    const index = key === undefined ? map.maxEntries : indexOf(key);
    if (index >= map.maxEntries) return { key: u32Hex(0) };
    return { key: index + 1 < map.maxEntries ? u32Hex(index + 1) : fail("ENOENT") };
  },
};
