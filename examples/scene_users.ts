import { tailCall } from "./insn.ts";
import { heading, say } from "./report.ts";
import type { Stage } from "./stage.ts";

/**
 * Kernel commit c9da161c65, "bpf: fix clearing on persistent program array maps": only the last user
 * reference, fd or pin, empties a program array. Before it, any close of any fd did.
 */

const PATH = "/tc/globals/jmp_tc";

export async function onlyTheLastUserFlushes(stage: Stage): Promise<void> {
  heading("5. Closing a derived fd of a pinned program array flushes nothing");
  const { observer, claims } = stage;
  const did = (call: string, text: string) => say("observer", call, text);
  const jmp_tc = await observer.mapCreate({
    ...{ map_type: "prog_array", map_name: "jmp_tc", key_size: 4, value_size: 4, max_entries: 4 },
  });
  did("BPF_MAP_CREATE", `prog_array jmp_tc: id ${jmp_tc.id}, fd ${jmp_tc.fd}`);
  const again = await observer.progLoad("again", tailCall(jmp_tc.fd, 0));
  did("BPF_PROG_LOAD", `again, which tail-calls into jmp_tc: id ${again.id}`);
  await observer.update(jmp_tc.fd, "u32:0", { fd: again.fd });
  await observer.close(again.fd);
  did("BPF_MAP_UPDATE_ELEM", "jmp_tc[0] = again: each now holds the other; its fd is closed");
  await observer.pin(PATH, jmp_tc.fd);
  did("BPF_OBJ_PIN", PATH);
  const pinned = { refcnt: 3, usercnt: 2, filled: 1 };
  await stage.counts("jmp_tc (fd, pin, again)", jmp_tc.id, pinned);

  const visitor = stage.start("visitor");
  const { slot } = await visitor.hear<{ slot: { id: number } }>();
  claims.claim(`the visitor reads program ${slot.id}, again`, slot.id === again.id);
  await stage.counts("jmp_tc (and the visitor)", jmp_tc.id, { refcnt: 4, usercnt: 3, filled: 1 });
  visitor.tell("close");
  await visitor.hear();
  await stage.counts("jmp_tc, nothing flushed", jmp_tc.id, pinned);
  await visitor.leave();

  heading("6. A cycle of array and program is freed with the last user");
  await observer.unlink(PATH);
  did("unlink", PATH);
  await stage.counts("jmp_tc (fd, again)", jmp_tc.id, { refcnt: 2, usercnt: 1, filled: 1 });
  await observer.close(jmp_tc.fd);
  did("close", `fd ${jmp_tc.fd}, the last user reference`);
  claims.claim("again is freed, though jmp_tc held it", !(await stage.prog(again.id)));
  await stage.counts("jmp_tc, though again held it", jmp_tc.id, "gone");
}
