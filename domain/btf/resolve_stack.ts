import { KIND, MODIFIERS } from "../schema/btf_blob.ts";
import type { BtfEnv } from "./btf_env.ts";
import { BtfRefused } from "./refused.ts";
import { type BtfTypeRecord, VOID } from "./type_table.ts";

/** The stack with which references are followed, and what each type resolves to (env_stack_push()). */

/** MAX_RESOLVE_DEPTH */
export const MAX_DEPTH = 32;

const RECORDS: readonly number[] = [KIND.STRUCT, KIND.UNION];
const SIZELESS: readonly number[] = [0, KIND.FWD, KIND.FUNC, KIND.FUNC_PROTO, KIND.DECL_TAG];
const SIZED: readonly number[] = [
  ...[...RECORDS, KIND.INT, KIND.ENUM, KIND.ENUM64, KIND.FLOAT, KIND.DATASEC],
];
const SOURCES: readonly number[] = [KIND.VAR, KIND.DECL_TAG, KIND.DATASEC];
const RESOLVED_KINDS: readonly number[] = [
  ...[...MODIFIERS, ...RECORDS, KIND.PTR, KIND.ARRAY, KIND.VAR, KIND.FUNC, KIND.DECL_TAG],
  KIND.DATASEC,
];
const POINTER_BYTES = 8;

export const isModifier = ({ kind }: BtfTypeRecord): boolean => MODIFIERS.includes(kind);
export const isRecord = ({ kind }: BtfTypeRecord): boolean => RECORDS.includes(kind);
/** btf_type_is_resolve_source_only(): nothing may refer to these. */
export const isSource = ({ kind }: BtfTypeRecord): boolean => SOURCES.includes(kind);
/** btf_type_nosize_or_null() */
export const hasNoSize = (type: BtfTypeRecord | undefined): boolean =>
  type === undefined || SIZELESS.includes(type.kind);
/** btf_type_needs_resolve() */
export const needsResolve = ({ kind }: BtfTypeRecord): boolean => RESOLVED_KINDS.includes(kind);

type Mode = "any" | "pointer" | "record";
type VisitState = "visited" | "resolved";

/** A type that is being resolved (struct resolve_vertex). */
export interface Vertex {
  readonly type: BtfTypeRecord;
  /** The member or variable to go on with. */
  next: number;
}

export interface SizedType {
  readonly type: BtfTypeRecord;
  readonly size: number;
}

export class ResolveStack {
  readonly env: BtfEnv;
  readonly #vertices: Vertex[] = [];
  readonly #states = new Map<number, VisitState>();
  readonly #ids = new Map<number, number>();
  readonly #sizes = new Map<number, number>();
  #mode: Mode = "any";

  constructor(env: BtfEnv) {
    this.env = env;
  }

  get top(): Vertex | undefined {
    return this.#vertices.at(-1);
  }

  /** Begins with another type. */
  reset(): void {
    this.#vertices.length = 0;
    this.#mode = "any";
  }

  /** btf_datasec_resolve() follows each variable anew. */
  forgetMode(): void {
    this.#mode = "any";
  }

  type(id: number): BtfTypeRecord | undefined {
    return this.env.types.type(id);
  }

  /** env_stack_push() @throws BtfRefused */
  push(type: BtfTypeRecord): void {
    if (this.#vertices.length === MAX_DEPTH) throw new BtfRefused("E2BIG", "");
    if (this.#states.has(type.id)) throw new BtfRefused("EEXIST", "");
    this.#states.set(type.id, "visited");
    this.#vertices.push({ type, next: 0 });
    if (this.#mode !== "any") return;
    if (type.kind === KIND.PTR) this.#mode = "pointer";
    else if (isRecord(type) || type.kind === KIND.ARRAY) this.#mode = "record";
  }

  /** env_stack_pop_resolved() */
  pop(id: number, size: number): void {
    const { type } = this.#vertices.pop() as Vertex;
    this.#ids.set(type.id, id);
    this.#sizes.set(type.id, size);
    this.#states.set(type.id, "resolved");
  }

  isResolved(id: number): boolean {
    return this.#states.get(id) === "resolved";
  }

  /** env_type_is_resolve_sink(): the type needs not be followed any further. */
  #isSink(type: BtfTypeRecord): boolean {
    if (this.#mode === "any") return !needsResolve(type);
    if (isModifier(type)) return false;
    if (this.#mode === "pointer") return type.kind !== KIND.PTR;
    return !isRecord(type) && type.kind !== KIND.ARRAY;
  }

  /** Whether the type has to be resolved before the one that refers to it; it is pushed then. */
  follows(type: BtfTypeRecord): boolean {
    if (this.#isSink(type) || this.isResolved(type.id)) return false;
    this.push(type);
    return true;
  }

  /** What a type resolves to: its id and the size of an array. */
  resolvedId(id: number): number {
    return this.#ids.get(id) ?? 0;
  }

  resolvedSize(id: number): number {
    return this.#sizes.get(id) ?? 0;
  }

  /** btf_type_id_resolve() */
  resolve(id: number): BtfTypeRecord {
    return this.type(this.resolvedId(id)) ?? VOID;
  }

  #sizeOf(type: BtfTypeRecord): number | undefined {
    if (SIZED.includes(type.kind)) return type.size;
    if (type.kind === KIND.ARRAY) return this.resolvedSize(type.id);
    return type.kind === KIND.PTR ? POINTER_BYTES : undefined;
  }

  /** btf_type_id_size(): the type behind modifiers and variables, with its size. */
  sized(id: number): SizedType | undefined {
    const type = this.type(id);
    if (type === undefined || hasNoSize(type)) return undefined;
    const size = this.#sizeOf(type);
    if (size !== undefined) return { type, size };
    const behind = this.resolve(id);
    const sizeBehind = this.#sizeOf(behind);
    return sizeBehind === undefined ? undefined : { type: behind, size: sizeBehind };
  }
}
