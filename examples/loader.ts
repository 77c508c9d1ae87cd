import { returns, TC_ACT_OK, tailCall } from "./insn.ts";
import { say } from "./report.ts";
import { join, order, tell } from "./role.ts";

/** The role of tc: makes maps and programs, pins two maps, and dies without a word. */

const TTL_MS = 1500;
const loader = await join("loader", TTL_MS);
// What a process does that wants to be taken for alive; kill -9 ends this too.
setInterval(() => loader.renew(), TTL_MS / 5);
const did = (call: string, text: string) => say("loader", call, text);

const sizes = { key_size: 4, value_size: 8 };
const map_sh = await loader.mapCreate({
  ...{ map_type: "array", map_name: "map_sh", ...sizes, max_entries: 2 },
});
did("BPF_MAP_CREATE", `array map_sh, two counters: id ${map_sh.id}, fd ${map_sh.fd}`);
const jmp_tc = await loader.mapCreate({
  ...{ map_type: "prog_array", map_name: "jmp_tc", key_size: 4, value_size: 4, max_entries: 4 },
});
did("BPF_MAP_CREATE", `prog_array jmp_tc, 4 slots: id ${jmp_tc.id}, fd ${jmp_tc.fd}`);
const scratch = await loader.mapCreate({
  ...{ map_type: "hash", map_name: "scratch", ...sizes, max_entries: 16 },
});
did("BPF_MAP_CREATE", `hash scratch, never pinned: id ${scratch.id}, fd ${scratch.fd}`);

const allow = await loader.progLoad("allow", returns(TC_ACT_OK));
did("BPF_PROG_LOAD", `allow: id ${allow.id}, fd ${allow.fd}`);
const dispatch = await loader.progLoad("dispatch", tailCall(jmp_tc.fd, 0));
did("BPF_PROG_LOAD", `dispatch, which tail-calls into jmp_tc: id ${dispatch.id}`);
await loader.update(jmp_tc.fd, "u32:0", { fd: allow.fd });
await loader.update(jmp_tc.fd, "u32:1", { fd: dispatch.fd });
did("BPF_MAP_UPDATE_ELEM", "jmp_tc[0] = allow, jmp_tc[1] = dispatch");

await loader.mkdir("/tc");
await loader.mkdir("/tc/globals");
did("mkdir", "/tc, /tc/globals");
await loader.pin("/tc/globals/map_sh", map_sh.fd);
await loader.pin("/tc/globals/jmp_tc", jmp_tc.fd);
did("BPF_OBJ_PIN", "/tc/globals/map_sh, /tc/globals/jmp_tc");

const ids = { map_sh, jmp_tc, scratch, allow, dispatch };
const entries = Object.entries(ids).map(([name, { id }]) => [name, id]);
tell({ token: loader.token, ...Object.fromEntries(entries) });
await order("die");
did("kill", `SIGKILL to itself, process ${process.pid}`);
process.kill(process.pid, "SIGKILL");
