import { say } from "./report.ts";
import { join, leave, order, tell } from "./role.ts";

/** The ingress or the egress side: counts in a shared map and looks where a tail call would go. */

const who = process.argv[2] === "egress" ? "egress" : "ingress";
const [mine, other] = who === "ingress" ? ["u32:0", "u32:1"] : ["u32:1", "u32:0"];

const worker = await join(who);
const map_sh = await worker.open({ path: "/tc/globals/map_sh" });
const jmp_tc = await worker.open({ path: "/tc/globals/jmp_tc" });
say(who, "BPF_OBJ_GET", `/tc/globals/map_sh: fd ${map_sh.fd}, /tc/globals/jmp_tc: fd ${jmp_tc.fd}`);

async function read(key: string): Promise<number> {
  const value = Buffer.from(String(await worker.lookup(map_sh.fd, key)), "hex");
  return Number(value.readBigUInt64LE());
}

tell({ opened: true });
await order("run");
let stopped = false;
const stop = order("stop").then(() => {
  stopped = true;
});
const looks = new Map<number, number>();
let counted = 0;
while (!stopped) {
  const slot = await worker.lookup(jmp_tc.fd, "u32:0");
  const id = typeof slot === "object" && "id" in slot ? slot.id : 0;
  if (!looks.has(id)) tell({ saw: id });
  looks.set(id, (looks.get(id) ?? 0) + 1);
  // Nobody else writes this element, so reading and writing in two steps loses nothing.
  await worker.update(map_sh.fd, mine, `u64:${(await read(mine)) + 1}`);
  counted += 1;
}
await stop;
say(who, "BPF_MAP_UPDATE_ELEM", `map_sh[${who === "ingress" ? 0 : 1}] counted up ${counted} times`);
tell({ counted, looks: [...looks] });

await order("read");
tell({ mine: await read(mine), other: await read(other) });
await order("exit");
say(who, "exit", "its two fds are closed");
await leave(worker);
