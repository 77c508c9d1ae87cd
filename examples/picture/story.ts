import { type DemoSession, newSession } from "../client.ts";
import { type Moment, readMoment } from "./objects.ts";

/** Plays the session of the README and reads the objects at its three moments. */

const ENTRY = ["r2 = map[fd:3]", "r3 = 0", "call tail_call", "r0 = 1", "exit"];
const VERDICT = ["r0 = 2", "exit"];

async function load(loader: DemoSession): Promise<void> {
  const pin = (path: string, fd: number) =>
    loader.call("PUT", `/v1/fs?path=${path}`, { type: "pin", fd });
  const program = (prog_name: string, asm: string[]) =>
    loader.call<{ fd: number }>("POST", "/v1/progs", { prog_name, asm });
  const jmp = await loader.mapCreate({
    ...{ map_type: "prog_array", map_name: "jmp", key_size: 4, value_size: 4, max_entries: 2 },
  });
  const entry = await program("entry", ENTRY);
  const verdict = await program("verdict", VERDICT);
  await loader.update(jmp.fd, "u32:0", { fd: verdict.fd });
  await pin("/jmp", jmp.fd);
  await pin("/entry", entry.fd);
}

/** @param namespace one that nobody has used, so that its ids begin with 1. */
export async function playStory(url: string, namespace: string): Promise<Moment[]> {
  const start = (label: string) => newSession(url, { namespace, label });
  const monitor = await start("monitor");

  const loader = await start("loader");
  await load(loader);
  const loaded = await readMoment("1. The loader pins jmp and entry.", monitor, { loader });

  await loader.exit();
  const control = await start("control");
  const { fd } = await control.open("/jmp");
  const opened = "2. The loader exits, control opens the pin: jmp keeps its slot.";
  const second = await readMoment(opened, monitor, { control });

  await control.close(fd);
  await control.unlink("/jmp");
  const flushed = "3. control closes and unlinks: the last user goes, every slot is emptied.";
  const third = await readMoment(flushed, monitor, { control });
  return [loaded, second, third];
}
