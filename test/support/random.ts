/** Generates all random numbers of the tests, so that a seed repeats a failure. */

/** Draws numbers from a seed (mulberry32) and makes choices with them. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** Returns a number from 0 to n - 1. */
  below(n: number): number {
    return this.u32() % n;
  }

  /** Returns true once in n times on average. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  from<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Returns a 32-bit number, often a boundary value. */
  imm(): number {
    const edges = [0, 1, -1, 2, 7, 8, 255, 256, 0x7fff, -0x8000, 0xffff, 0x7fffffff, -0x80000000];
    return this.oneIn(2) ? this.from(edges) : this.u32() | 0;
  }
}

/**
 * Returns a function that draws numbers from 0 to below - 1; a seed always gives the same sequence.
 */
export function randomBelow(seed: number): (below: number) => number {
  const dice = new Dice(seed);
  return (below) => dice.below(below);
}
