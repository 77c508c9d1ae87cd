import { Errno } from "../errno.ts";
import { type Begin, list, number } from "../redis/command.ts";
import type { Value } from "../redis/script.ts";
import type { Done, ProgramView } from "../runtime/job.ts";
import { Sight } from "./fetch_set.ts";
import { Lru } from "./lru_cache.ts";
import { type Seen, seen } from "./map_snapshot.ts";
import { Programs } from "./program_cache.ts";

/** What one script shows of the programs and maps that a run is expected to come to. */

export interface Snapshot {
  program: number;
  type: string;
  /** The first is the one to run. */
  programs: ProgramView[];
  maps: Map<number, Seen>;
}

/** prog_test_run or prog_run, with what is wanted. */
export type Look = (wants: Buffer) => ReturnType<Begin>;

/** One run's looking: by an fd or a path, at more and more. */
export interface Looking {
  namespace: string;
  /** Names the caller and the fd or path. */
  place: string;
  look: Look;
  /** The program there last time, and what it came to. */
  program: number;
  sight: Sight;
  /** It has begun anew, with nothing of runs before. */
  anew?: boolean;
}

/** Places' programs and programs' sights that are remembered. */
const REMEMBERED = 10_000;

/** Each time round there is something new: a program, then its maps. */
const TRIES = 100;
/** A sight of more programs or maps is begun anew: most of them are of runs long ago. */
const WIDE = 64;

export class Looks {
  readonly #programs = new Programs();
  readonly #places = new Lru<number>(REMEMBERED);
  readonly #sights = new Lru<Sight>(REMEMBERED);

  begin(namespace: string, place: string, look: Look): Looking {
    const program = this.#places.get(`${namespace} ${place}`) ?? 0;
    return { namespace, place, look, program, sight: this.#sight(namespace, program) };
  }

  #sight(namespace: string, program: number): Sight {
    const known = this.#sights.get(`${namespace} ${program}`);
    if (known) return known.copy();
    const sight = new Sight();
    sight.program(program);
    return sight;
  }

  /** The next run of the program will be shown what this one has read, and where it went. */
  remember({ namespace, program, sight }: Looking, { reads, chain }: Done): void {
    const wide = sight.programs.size > WIDE || sight.maps.length > WIDE;
    const next = wide ? new Sight() : sight.copy(reads);
    for (const id of [program, ...chain]) next.program(id);
    this.#sights.set(`${namespace} ${program}`, next);
  }

  /** @throws E2BIG for more than one script can show; ENOMEM when what it shows is never known. */
  async look(looking: Looking): Promise<Snapshot | { remembered: Value[] }> {
    for (let tries = 0; tries < TRIES; tries++) {
      const shown = await this.#once(looking);
      if (shown) return shown;
    }
    throw new Errno("ENOMEM", "the programs that the run may come to are too large");
  }

  /** What runs before came to may be too much by now, and this one need not come to it. */
  #anew(looking: Looking, error: unknown): undefined {
    if (!(error instanceof Errno) || error.code !== "E2BIG" || looking.anew) throw error;
    looking.anew = true;
    looking.sight = new Sight();
    looking.sight.program(looking.program);
    return undefined;
  }

  /** undefined when there is more to be seen. */
  async #once(looking: Looking): Promise<Snapshot | { remembered: Value[] } | undefined> {
    const { namespace, place, program, sight } = looking;
    const asked = { programs: [...sight.programs], maps: sight.maps };
    const wants = sight.pack(program, (id) => this.#programs.loaded(namespace, id));
    const answer = await looking.look(wants).catch((error) => this.#anew(looking, error));
    if (!answer) return undefined;
    if (answer.remembered) return { remembered: answer.values };
    const [found, , programs, maps] = answer.values;
    if (number(found) !== program) {
      looking.program = number(found);
      looking.sight = this.#sight(namespace, looking.program);
      this.#places.set(`${namespace} ${place}`, looking.program);
      return undefined;
    }
    const before = sight.size;
    const views = this.#learn(looking, asked.programs, list(programs));
    const known = this.#programs.get(namespace, program);
    if (!views || !known || sight.size !== before) return undefined;
    return { program, type: known.type, programs: views, maps: shown(asked.maps, maps, sight) };
  }

  /** undefined when one was forgotten between asking and answer. */
  #learn({ namespace, sight }: Looking, ids: number[], rows: Value[]): ProgramView[] | undefined {
    const views: ProgramView[] = [];
    for (const [i, id] of ids.entries()) {
      const row = rows[i] ?? null;
      if (row === null) {
        sight.forget({ program: id });
        continue;
      }
      const same = row === 1 && this.#programs.get(namespace, id);
      const known = row === 1 ? same : this.#programs.keep(namespace, id, row);
      if (!known) return undefined;
      for (const map of known.maps) sight.map(map.id, map.type);
      views.push(known.view);
    }
    return views;
  }
}

function shown(ids: readonly number[], rows: Value | undefined, sight: Sight): Map<number, Seen> {
  const maps = new Map<number, Seen>();
  for (const [i, row] of list(rows).entries()) {
    const id = ids[i] ?? 0;
    const view = seen(row);
    if (view) maps.set(id, view);
    else sight.forget({ map: id });
  }
  return maps;
}
