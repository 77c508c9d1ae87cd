import { join, leave, order, tell } from "./participant.ts";
import { say } from "./report.ts";
import { ENTRY, GLOBALS } from "./tc.ts";

/** A process that only looks: opens the pinned array, reads a slot, closes its fd. */

const visitor = await join("visitor");
const { fd } = await visitor.open(`${GLOBALS}/jmp_tc`);
say("visitor", "BPF_OBJ_GET", `${GLOBALS}/jmp_tc: fd ${fd}`);
const slot = await visitor.lookup<{ id: number }>(fd, ENTRY);
say("visitor", "BPF_MAP_LOOKUP_ELEM", `jmp_tc[0] is program ${slot.id}`);
tell({ slot });

await order("close");
await visitor.close(fd);
say("visitor", "close", `fd ${fd}`);
tell({ closed: true });

await order("exit");
await leave(visitor);
