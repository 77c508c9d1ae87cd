/** The type of a function of a program, as BTF describes it and the verifier of Linux reads it. */

export type FuncParam =
  | { readonly kind: "integer" }
  | {
      readonly kind: "pointer";
      /** The kind and name of what it points to without modifiers, as "STRUCT __sk_buff". */
      readonly target: string;
      /** The outermost typedef that it points to. */
      readonly typedef: string;
      /** Bytes that it points to; null where BTF does not tell. */
      readonly size: number | null;
      /** Tags of the argument, without the prefix "arg:". */
      readonly tags: readonly string[];
    }
  | { readonly kind: "other"; readonly target: string };

export interface FuncType {
  /** Its first instruction. */
  readonly start: number;
  readonly name: string;
  /** Linux verifies it by itself, for all arguments of its types. */
  readonly isGlobal: boolean;
  /** An integer or an enum. */
  readonly returnsInteger: boolean;
  /** An integer of at most 8 bytes, or an enum. */
  readonly returnsSmallInteger: boolean;
  /** The number of its arguments; `args` has no more than fit into registers. */
  readonly argCount: number;
  readonly args: readonly FuncParam[];
}
