import { returns, TC_ACT_SHOT } from "./insn.ts";
import { say } from "./report.ts";
import { join, leave, order, tell } from "./role.ts";

/** The control process: swaps the program in slot 0 while ingress and egress run. */

const ROUNDS = 100;
const control = await join("control");
const jmp_tc = await control.open({ path: "/tc/globals/jmp_tc" });
say("control", "BPF_OBJ_GET", `/tc/globals/jmp_tc: fd ${jmp_tc.fd}`);
const deny = await control.progLoad("deny", returns(TC_ACT_SHOT));
say("control", "BPF_PROG_LOAD", `deny: id ${deny.id}, fd ${deny.fd}`);
const slot = await control.lookup(jmp_tc.fd, "u32:0");
if (typeof slot !== "object" || !("id" in slot)) throw new Error("slot 0 is not filled");
const old = await control.open({ prog_id: slot.id });
say("control", "BPF_PROG_GET_FD_BY_ID", `program ${slot.id}, found in slot 0: fd ${old.fd}`);
tell({ deny: deny.id });

await order("swap");
for (let round = 0; round < ROUNDS; round++) {
  await control.update(jmp_tc.fd, "u32:0", { fd: deny.fd });
  await control.update(jmp_tc.fd, "u32:0", { fd: old.fd });
}
await control.update(jmp_tc.fd, "u32:0", { fd: deny.fd });
say("control", "BPF_MAP_UPDATE_ELEM", `jmp_tc[0] swapped ${2 * ROUNDS + 1} times, now deny`);
tell({ swapped: true });

await order("exit");
say("control", "exit", "its three fds are closed");
await leave(control);
