import { readObject } from "../elf/offload_parsing.ts";
import {
  joinPath,
  type ObjectPlan,
  type PlanOptions,
  PROG_ARRAY,
  type ProgPlan,
  truncateName,
} from "../elf/plan.ts";
import { Errno, LimitReached } from "../errno.ts";
import { INSN_SIZE } from "../isa/insn.ts";
import type { Call } from "../redis/command.ts";
import { Journal, type LoaderCommands, undefinedOnErrno, withName } from "./journal.ts";
import { type LoadedMap, MapLoader, u32 } from "./map_loader.ts";
import { Pins } from "./pins.ts";

/**
 * Loads an object file as bpf_object__load() of libbpf does, as commands of one session. A load
 * that fails undoes everything that it has made.
 */

export interface ElfOptions extends Omit<PlanOptions, "cpus"> {
  /** A directory in which each program is pinned by its name, as bpftool's loadall does. */
  pin_progs?: string | undefined;
  log_level: number;
}

export interface LoadedProg {
  name: string;
  section: string;
  fd: number;
  id: number;
  /** The path of its pin. */
  pinned?: string;
  log: string;
}

export interface LoadedObject {
  license: string;
  maps: LoadedMap[];
  progs: LoadedProg[];
}

class ObjectLoad {
  readonly #journal: Journal;
  readonly #pins: Pins;
  readonly #plan: ObjectPlan;
  readonly #options: ElfOptions;
  #maps: readonly LoadedMap[] = [];

  constructor(kernel: LoaderCommands, call: Call, plan: ObjectPlan, options: ElfOptions) {
    this.#journal = new Journal(kernel, call);
    this.#pins = new Pins(this.#journal);
    this.#plan = plan;
    this.#options = options;
  }

  async run(): Promise<LoadedObject> {
    try {
      return await this.#load();
    } catch (error) {
      await this.#journal.undo(error);
      throw error;
    }
  }

  async #load(): Promise<LoadedObject> {
    const { license } = this.#plan;
    const maps = await new MapLoader(this.#journal, this.#pins, this.#plan.maps).load();
    this.#maps = maps;
    const progs: LoadedProg[] = [];
    for (const plan of this.#plan.progs) {
      progs.push(await withName(`prog '${plan.name}'`, () => this.#createProg(plan)));
    }
    // This comes last, because others see it: nothing may fail after it.
    await this.#fillArrays(progs);
    return { license, maps, progs };
  }

  async #createProg(plan: ProgPlan): Promise<LoadedProg> {
    const { name, section } = plan;
    const { fd, id, log } = await this.#loadProg(plan);
    await this.#bindData(fd);
    const directory = this.#options.pin_progs;
    if (directory === undefined) return { name, section, fd, id, log };
    const pinned = joinPath(directory, name);
    await this.#pins.pin(pinned, fd);
    return { name, section, fd, id, pinned, log };
  }

  /** Loads a rejected program again with a log, as libbpf does. */
  async #loadProg(plan: ProgPlan) {
    const { log_level } = this.#options;
    const insns = this.#patchMapFds(plan);
    const { prog_type, prog_flags, expected_attach_type, func_types } = plan;
    const attr = {
      ...{ prog_type, prog_flags, expected_attach_type, func_types },
      func_info: func_types !== undefined,
      ...{ license: this.#plan.license, prog_name: truncateName(plan.name), fd_array: undefined },
    };
    const load = (level: number) =>
      this.#journal.openFd((call) =>
        this.#journal.kernel.progLoad(call, { ...attr, log_level: level }, { insns }),
      );
    try {
      return await load(log_level);
    } catch (error) {
      const isRejected = error instanceof Errno && !(error instanceof LimitReached);
      if (log_level > 0 || !isRejected) throw error;
      return load(1);
    }
  }

  /** Returns the instructions with the fds of the maps. */
  #patchMapFds({ insns, refs }: ProgPlan): Buffer {
    const patched = Buffer.from(insns);
    for (const { insn, map } of refs) {
      patched.writeUInt32LE(this.#maps[map]?.fd ?? 0, insn * INSN_SIZE + 4);
    }
    return patched;
  }

  /** Binds the read-only data to the program, even when the program does not refer to it. */
  async #bindData(fd: number): Promise<void> {
    for (const [i, { frozen }] of this.#plan.maps.entries()) {
      const map = this.#maps[i];
      if (frozen && map) {
        await this.#journal.kernel.progBindMap(this.#journal.nextCall(), fd, map.fd, 0);
      }
    }
  }

  async #fillArrays(progs: readonly LoadedProg[]): Promise<void> {
    const savedFds: number[] = [];
    for (const [i, plan] of this.#plan.maps.entries()) {
      if (plan.map_type !== PROG_ARRAY) continue;
      const map = this.#maps[i] as LoadedMap;
      for (const { index, of } of plan.slots) {
        await withName(`map '${plan.name}', slot ${index}`, async () => {
          if (map.reused) savedFds.push(...(await this.#saveSlot(map.fd, index)));
          await this.#setSlot(this.#journal.nextCall(), map.fd, index, progs[of]?.fd ?? 0);
        });
      }
    }
    for (const fd of savedFds) await this.#journal.close(fd);
  }

  #setSlot(call: Call, fd: number, index: number, prog: number) {
    return this.#journal.kernel.mapUpdateElem(
      call,
      fd,
      { key: u32(index), value: u32(prog) },
      0,
      "",
    );
  }

  /**
   * Prepares to restore a slot of a reused array when a later slot fails: opens an fd of its program,
   * if the session may do so (CAP_SYS_ADMIN).
   */
  async #saveSlot(fd: number, index: number): Promise<number[]> {
    const { kernel } = this.#journal;
    const key = u32(index);
    const element = await undefinedOnErrno(
      "ENOENT",
      kernel.mapLookupElem(this.#journal.nextCall(), fd, key, { flags: 0 }),
    );
    if (!element) {
      this.#journal.addUndo((call) => kernel.mapDeleteElem(call(), fd, key, ""));
      return [];
    }
    const id = element.value.readUInt32LE();
    const prog = await undefinedOnErrno(
      "EPERM",
      this.#journal.openFd((call) => kernel.progGetFdById(call, id)),
    );
    if (!prog) return [];
    this.#journal.addUndo((call) => this.#setSlot(call(), fd, index, prog.fd));
    return [prog.fd];
  }
}

/**
 * @param kernel the commands that a load consists of.
 * @param session throws when the session has ended, before the object is parsed.
 */
export function elfCommands(
  kernel: LoaderCommands,
  session: (call: Call) => Promise<{ cpus: number }>,
) {
  return {
    /** @throws EINVAL, EOPNOTSUPP, E2BIG for the object; the errnos of its commands. */
    async elfLoad(call: Call, object: Buffer, options: ElfOptions): Promise<LoadedObject> {
      const { cpus } = await session(call);
      const plan = await readObject(call, object, { ...options, cpus });
      return new ObjectLoad(kernel, call, plan, options).run();
    },
  };
}
