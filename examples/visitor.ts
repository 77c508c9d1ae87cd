import { say } from "./report.ts";
import { join, leave, order, tell } from "./role.ts";

/** A process that only looks: opens the pinned array, reads a slot, closes its fd. */

const visitor = await join("visitor");
const jmp_tc = await visitor.open({ path: "/tc/globals/jmp_tc" });
say("visitor", "BPF_OBJ_GET", `/tc/globals/jmp_tc: fd ${jmp_tc.fd}`);
const slot = await visitor.lookup(jmp_tc.fd, "u32:0");
say("visitor", "BPF_MAP_LOOKUP_ELEM", `jmp_tc[0] is ${JSON.stringify(slot)}`);
tell({ slot });

await order("close");
await visitor.close(jmp_tc.fd);
say("visitor", "close", `fd ${jmp_tc.fd}`);
tell({ closed: true });

await order("exit");
await leave(visitor);
