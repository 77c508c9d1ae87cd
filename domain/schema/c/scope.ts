import type { Aligned } from "./layout.ts";

/** The names that a C-like text has declared so far. */

export class Scope {
  readonly typedefs: Map<string, Aligned>;
  /** By keyword and tag: "struct flow". */
  readonly tags: Map<string, Aligned>;
  readonly constants: Map<string, bigint>;

  /** Starts with a copy of `outer`, which it does not change. */
  constructor(outer?: Scope) {
    this.typedefs = new Map(outer?.typedefs);
    this.tags = new Map(outer?.tags);
    this.constants = new Map(outer?.constants);
  }
}
