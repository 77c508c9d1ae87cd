import { OutcomeUnknown, Unavailable } from "../errno.ts";

/** Finishes the release of ended sessions for calls that must not show what these still hold. */

/** Takes one step in a namespace. @returns whether references are left. */
type ReleaseStep = (namespace: string) => Promise<boolean>;

export class Releases {
  readonly #step: ReleaseStep;
  /** Namespace -> its release under way, which all calls that wait share. */
  readonly #running = new Map<string, Promise<boolean>>();

  constructor(step: ReleaseStep) {
    this.#step = step;
  }

  /**
   * Resolves when nothing was left at some moment after the call.
   * @param until moment by performance.now().
   * @throws Unavailable after it, because the waiting call did nothing.
   */
  async finish(namespace: string, until: number): Promise<void> {
    const late = new Unavailable("ended sessions are still being released: try again");
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(late), until - performance.now());
    });
    try {
      // A release that an earlier call began may give up before this one.
      while (!(await Promise.race([this.#release(namespace, until), timeout]))) {
        if (performance.now() >= until) throw late;
      }
    } catch (error) {
      throw error instanceof OutcomeUnknown ? new Unavailable(error.message) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #release(namespace: string, until: number): Promise<boolean> {
    const running = this.#running.get(namespace);
    if (running) return running;
    const started = this.#repeat(namespace, until).finally(() => this.#running.delete(namespace));
    this.#running.set(namespace, started);
    return started;
  }

  /** Steps until nothing is left; resolves to false when its caller waits no more before that. */
  async #repeat(namespace: string, until: number): Promise<boolean> {
    while (performance.now() < until) if (!(await this.#step(namespace))) return true;
    return false;
  }
}
