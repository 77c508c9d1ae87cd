import { KIND } from "../schema/btf_blob.ts";
import { membersOf } from "./describe_type.ts";
import type { FieldFinder, SpecialField } from "./field_finder.ts";
import { BtfRefused } from "./refused.ts";
import { NODES, POINTER, ROOTS, SPECIAL_STRUCTS } from "./special_types.ts";
import { type BtfTypeRecord, type TypeTable, VOID } from "./type_table.ts";

/** The special fields of a type, checked against each other (btf_parse_fields()). */

export interface FieldRecord {
  readonly fields: readonly SpecialField[];
  /** The structs that its lists and trees contain. */
  readonly values: readonly number[];
}

const CONTAINS = "contains:";

const has = (fields: readonly SpecialField[], ...names: readonly string[]): boolean =>
  fields.some(({ type }) => names.includes(type));

export const hasRoot = ({ fields }: FieldRecord): boolean => has(fields, ...ROOTS);
export const hasNode = ({ fields }: FieldRecord): boolean => has(fields, ...NODES);

/** Looks types up by what stands in tags and names. */
export class NamedTypes {
  readonly #types: TypeTable;
  readonly #structs = new Map<string, number>();
  /** The decl tags of each type. */
  readonly #tags = new Map<number, { member: number; text: string }[]>();

  constructor(types: TypeTable) {
    this.#types = types;
    for (let id = 1; id < types.count; id++) {
      const type = types.type(id) ?? VOID;
      const name = type.kind === KIND.STRUCT ? types.string(type.name) : "";
      if (name !== "" && !this.#structs.has(name)) this.#structs.set(name, id);
      if (type.kind !== KIND.DECL_TAG) continue;
      const tags = this.#tags.get(type.size) ?? [];
      tags.push({ member: types.u32(type.at) | 0, text: types.string(type.name) });
      this.#tags.set(type.size, tags);
    }
  }

  /** btf_find_by_name_kind() */
  struct(name: string): number | undefined {
    return this.#structs.get(name);
  }

  /** btf_find_graph_root(): the struct and the node that a list or tree contains. @throws BtfRefused */
  contents({ of, member, type }: SpecialField): { value: number; node: string } {
    const tags = (this.#tags.get(of.id) ?? []).filter(
      (tag) => tag.member === member && tag.text.startsWith(CONTAINS),
    );
    const [struct, node] = /^contains:([^:]*):(.*)$/s.exec(tags[0]?.text ?? "")?.slice(1) ?? [];
    if (tags.length !== 1 || struct === undefined || node === undefined)
      throw new BtfRefused("EINVAL", `a ${type} needs one tag "contains:struct:member"`);
    const value = this.#structs.get(struct);
    if (value === undefined) throw new BtfRefused("ENOENT", `there is no struct ${struct}`);
    if (node === "") throw new BtfRefused("EINVAL", `the tag of a ${type} names no member`);
    return { value, node };
  }

  /** btf_parse_graph_root() @throws BtfRefused */
  checkNode(root: SpecialField): number {
    const { value, node } = this.contents(root);
    const wanted = root.type === "bpf_list_head" ? "bpf_list_node" : "bpf_rb_node";
    const struct = this.#types.type(value) as BtfTypeRecord;
    const members = membersOf(this.#types, struct).filter(
      ({ first }) => this.#types.name(first) === node,
    );
    const [member] = members;
    if (member === undefined) throw new BtfRefused("ENOENT", `there is no member ${node}`);
    const type = this.#types.type(member.second) ?? VOID;
    const isNode = type.kind === KIND.STRUCT && this.#types.string(type.name) === wanted;
    if (members.length > 1 || !isNode || member.third % 64 !== 0)
      throw new BtfRefused("EINVAL", `${node} must be one ${wanted}`);
    return value;
  }
}

function checkPlaces(fields: readonly SpecialField[], bytes: number): void {
  let end = 0;
  for (const { type, offset } of fields) {
    const { bytes: size } = SPECIAL_STRUCTS[type] ?? POINTER;
    if (offset + size > bytes) throw new BtfRefused("EFAULT", `a ${type} ends past its struct`);
    if (offset < end) throw new BtfRefused("EEXIST", `a ${type} overlaps another special field`);
    end = offset + size;
  }
}

/** @returns undefined without such fields. @throws BtfRefused */
export function parseFields(
  finder: FieldFinder,
  names: NamedTypes,
  type: BtfTypeRecord,
): FieldRecord | undefined {
  const fields = finder.find(type);
  if (fields.length === 0) return undefined;
  const roots = fields.filter((field) => ROOTS.includes(field.type));
  for (const root of roots) names.contents(root);
  checkPlaces(fields, type.size);
  const values = roots.map((root) => names.checkNode(root));
  const hasLocks = [has(fields, "bpf_spin_lock"), has(fields, "bpf_res_spin_lock")];
  if (hasLocks[0] && hasLocks[1])
    throw new BtfRefused("EINVAL", "bpf_spin_lock and bpf_res_spin_lock exclude each other");
  if (roots.length > 0 && !hasLocks.includes(true))
    throw new BtfRefused("EINVAL", `a ${roots[0]?.type} needs a bpf_spin_lock beside it`);
  const hasBothNodes = NODES.every((node) => has(fields, node));
  if (hasBothNodes && !has(fields, "bpf_refcount"))
    throw new BtfRefused("EINVAL", "a struct in lists and trees needs a bpf_refcount");
  return { fields, values };
}
