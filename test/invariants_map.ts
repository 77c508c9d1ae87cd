import {
  type Claim,
  fields,
  type Holders,
  ids,
  members,
  pending,
  workOf,
} from "./invariants_held.ts";
import { at, type Dump, type Fields } from "./invariants_read.ts";

/** What maps hold and who, of programs and slots, holds them; each map type checks its own contents. */

type Contents = (dump: Dump, claim: Claim, id: string, map: Fields, holders: Holders) => void;

const hash: Contents = (dump, claim, id, map) => {
  const { keys, sizes } = dump.elements.get(id) ?? { keys: [], sizes: [] };
  const order = members(dump, "keys", id).map(([key]) => key);
  const stored = keys.map((key) => key.toString("latin1"));
  const same = order.length === stored.length && order.every((key) => stored.includes(key));
  claim(same, `hash ${id} has ${stored.length} elements, ${order.length} keys in order`);
  claim(stored.length <= Number(map.max_entries), `hash ${id} has ${stored.length} elements`);
  const sized =
    stored.every((key) => key.length === Number(map.key_size)) &&
    sizes.every((size) => size === Number(map.value_size));
  claim(sized, `hash ${id} has a key or a value of another size than its own`);
};

const PAGE_BYTES = 65536;

const array: Contents = (dump, claim, id, map) => {
  const perPage = Math.max(1, Math.floor(PAGE_BYTES / Number(map.value_size)));
  const pages = Math.ceil(Number(map.max_entries) / perPage);
  for (const name of ids(dump, "elem")) {
    const [of, page] = name.split(":");
    claim(of !== id || Number(page) < pages, `array ${id} has page ${page} of ${pages}`);
  }
};

const prog_array: Contents = (dump, claim, id, map, holders) => {
  const slots = members(dump, "elem", id);
  claim(slots.length === 0 || Number(map.usercnt) > 0, `prog_array ${id} is filled without a user`);
  for (const [index, prog] of slots) {
    holders.add("prog", prog, `slot:${id}`);
    claim(Number(index) < Number(map.max_entries), `prog_array ${id} has slot ${index}`);
    const owner = fields(dump, "prog", prog)?.owner;
    claim(owner === map.owner, `slot ${index} of ${id}: a ${owner} in an array of ${map.owner}`);
  }
};

/** A map type that is not here is a difference: whoever adds it says what lies under it. */
const CONTENTS: Record<string, Contents> = { hash, array, prog_array };

/** Slots that no array has any more, waiting to be put. */
function checkCleared(dump: Dump, claim: Claim, holders: Holders): void {
  for (const list of ids(dump, "slots")) {
    const item = workOf(dump).find(([, put, , of]) => put === "put_slots" && of === list);
    claim(item !== undefined, `slots ${list} were cleared and are put by nobody`);
    for (const [, prog] of members(dump, "slots", list)) {
      holders.add("prog", prog, `slot:${item?.[2]}`);
    }
  }
}

function checkUsed(dump: Dump, claim: Claim, holders: Holders): void {
  for (const prog of ids(dump, "used")) {
    const maps = dump.lists.get(at("used", prog)) ?? [];
    claim(new Set(maps).size === maps.length, `prog ${prog} uses a map twice: ${maps.join(", ")}`);
    for (const map of maps) holders.add("map", map, `prog:${prog}`);
    const due = fields(dump, "prog", prog) ?? pending(dump, "prog", "put_maps", prog);
    claim(due !== undefined, `the maps used by prog ${prog} are put by nobody`);
  }
  const [progs, insns] = [ids(dump, "prog"), ids(dump, "insns")].map((all) =>
    [...all].sort().join(),
  );
  claim(progs === insns, `programs are ${progs}, instructions are kept of ${insns}`);
}

export function checkMaps(dump: Dump, claim: Claim, holders: Holders): void {
  checkUsed(dump, claim, holders);
  checkCleared(dump, claim, holders);
  for (const id of ids(dump, "map")) {
    const map = fields(dump, "map", id) ?? {};
    const contents = CONTENTS[map.map_type ?? ""];
    claim(
      contents !== undefined,
      `map ${id}: nothing is known of the contents of a ${map.map_type}`,
    );
    contents?.(dump, claim, id, map, holders);
  }
  for (const noun of ["elem", "keys"]) {
    for (const name of ids(dump, noun)) {
      const [id = ""] = name.split(":");
      const due = fields(dump, "map", id) ?? pending(dump, "map_array", "unlink", id);
      claim(due !== undefined, `${noun}:${name} is left of map ${id}`);
    }
  }
}
