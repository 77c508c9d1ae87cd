import { type Anchor, keysOf } from "./anchors.ts";
import { runAsScript } from "./bundle_script.ts";
import { isMissing, isMoved } from "./failures.ts";
import type { InTime } from "./in_time.ts";
import type { Library } from "./library.ts";
import { bundle } from "./lua_bundle.ts";
import type { Masters } from "./masters.ts";

/** Calls the operations of master/master.lua, which belong to a master and not to a namespace. */

/** Keys of an anchor. */
const KEYS = 3;

export class MasterCalls {
  readonly #masters: Masters;
  readonly #library: Library;
  readonly #inTime: InTime;

  /** @param inTime waits for a call of Redis until its deadline. */
  constructor(masters: Masters, library: Library, inTime: InTime) {
    this.#masters = masters;
    this.#library = library;
    this.#inTime = inTime;
  }

  /** @throws a failure of errno.ts. An operation may be repeated, whatever became of it. */
  async call(anchor: Anchor, operation: string, ...args: (string | number)[]): Promise<string[]> {
    const words = [...keysOf(anchor), operation, ...args];
    try {
      return await this.#fcall(anchor, words);
    } catch (error) {
      if (isMoved(error)) await this.#masters.refresh();
      else if (isMissing(error)) await this.#inTime(this.#library.load());
      else throw error;
    }
    const master = await this.#masters.at(anchor.slot);
    if (!this.#library.isFullOn(master)) return this.#fcall(anchor, words);
    return (await runAsScript(master, this.#inTime, KEYS, words)).map(String);
  }

  async #fcall({ slot }: Anchor, words: readonly (string | number)[]): Promise<string[]> {
    const master = await this.#masters.at(slot);
    return (await this.#inTime(master.fcall(bundle.masterFunction, KEYS, ...words))) as string[];
  }
}
