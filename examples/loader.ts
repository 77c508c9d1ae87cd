import { readFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import type { Part } from "./client.ts";
import { awaitOrder, join, report } from "./participant.ts";
import { say } from "./report.ts";
import { ENTRY, FILTERS, GLOBALS, POLICIES } from "./tc.ts";

/** Loads two object files as tc does, pins their maps and programs, and dies without closing anything. */

const TTL_MS = 2000;
const loader = await join("loader", TTL_MS);
// Keeps the session alive. kill -9 ends the renewals too.
setInterval(() => loader.renew(), TTL_MS / 5);

const names = (parts: Part[]) =>
  parts.map(({ name, reused }) => (reused ? `${name} (reused)` : name)).join(", ");

async function load(file: string, pin_progs: string) {
  const object = readFileSync(joinPath(import.meta.dirname, "bpf", file));
  const { maps, progs } = await loader.elfLoad(object, { pin_root: GLOBALS, pin_progs });
  say("loader", "bpf_object__load", `${file}, ${object.length} bytes`);
  say("loader", "  maps", `pinned in ${GLOBALS}: ${names(maps)}`);
  say("loader", "  programs", `pinned in ${pin_progs}: ${names(progs)}`);
  return { maps, progs };
}

const filter = await load("filter.o", FILTERS);
const policy = await load("policy.o", POLICIES);
const maps = [...filter.maps, ...policy.maps];
const progs = [...filter.progs, ...policy.progs];
const fd = (parts: Part[], name: string) => parts.find((part) => part.name === name)?.fd ?? -1;
await loader.update(fd(maps, "jmp_tc"), ENTRY, { fd: fd(progs, "allow") });
say("loader", "BPF_MAP_UPDATE_ELEM", "jmp_tc[0] = allow");
const scratch = await loader.mapCreate({
  ...{ map_type: "hash", map_name: "scratch", key_size: 4, value_size: 8, max_entries: 16 },
});
say("loader", "BPF_MAP_CREATE", "hash scratch, which it does not pin");

const ids = (parts: Part[]) => Object.fromEntries(parts.map(({ name, id }) => [name, id]));
const made = {
  token: loader.token,
  scratch: scratch.id,
  ids: { maps: ids(maps), progs: ids(progs) },
};
report({ made });
await awaitOrder("die");
say("loader", "kill", `SIGKILL to itself, process ${process.pid}`);
process.kill(process.pid, "SIGKILL");
