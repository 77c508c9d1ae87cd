import { awaitOrder, join, leave, report } from "./participant.ts";
import { say } from "./report.ts";
import { ENTRY, GLOBALS } from "./tc.ts";

/** A process that only reads: opens the pinned array, reads a slot, closes its fd. */

const observer = await join("observer");
const { fd } = await observer.open(`${GLOBALS}/jmp_tc`);
say("observer", "BPF_OBJ_GET", `${GLOBALS}/jmp_tc: fd ${fd}`);
const slot = await observer.lookup<{ id: number }>(fd, ENTRY);
say("observer", "BPF_MAP_LOOKUP_ELEM", `jmp_tc[0] is program ${slot.id}`);
report({ slot });

await awaitOrder("close");
await observer.close(fd);
say("observer", "close", `fd ${fd}`);
report({ closed: true });

await awaitOrder("exit");
await leave(observer);
