/** The structs and pointers in a value that the kernel manages (enum btf_field_type). */

export interface SpecialType {
  readonly bytes: number;
  readonly alignment: number;
  /** A struct has at most one. */
  readonly isSingle: boolean;
}

const single = (bytes: number, alignment: number) => ({ bytes, alignment, isSingle: true });
const several = (bytes: number, alignment: number) => ({ bytes, alignment, isSingle: false });

/** By the name of the struct; btf_field_type_size(), btf_field_type_align(). */
export const SPECIAL_STRUCTS: Readonly<Record<string, SpecialType>> = {
  bpf_spin_lock: single(4, 4),
  bpf_res_spin_lock: single(4, 4),
  bpf_timer: single(16, 8),
  bpf_wq: single(16, 8),
  bpf_task_work: single(8, 8),
  bpf_list_head: several(16, 8),
  bpf_list_node: several(24, 8),
  bpf_rb_root: several(16, 8),
  bpf_rb_node: several(32, 8),
  bpf_refcount: single(4, 4),
};

/** By the type tag of the pointer. */
export const SPECIAL_POINTERS: readonly string[] = [
  "kptr_untrusted",
  "kptr",
  "percpu_kptr",
  "uptr",
];
export const POINTER: SpecialType = several(8, 8);

const KPTRS: readonly string[] = ["kptr_untrusted", "kptr", "percpu_kptr"];
export const ROOTS: readonly string[] = ["bpf_list_head", "bpf_rb_root"];
export const NODES: readonly string[] = ["bpf_list_node", "bpf_rb_node"];

/** Structs that make BPF_BTF_LOAD look for special fields in those that hold them (alloc_obj_fields). */
export const ALLOCATED: readonly string[] = [
  ...["bpf_spin_lock", ...ROOTS, ...NODES, "bpf_refcount"],
];

/** What is looked for in the structs of a BTF. */
export const STRUCT_FIELDS: ReadonlySet<string> = new Set([
  ...[...ALLOCATED, "bpf_res_spin_lock", ...KPTRS],
]);

/** What is looked for in the value of a map. */
export const VALUE_FIELDS: ReadonlySet<string> = new Set([
  ...["bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work"],
  ...[...ROOTS, "bpf_refcount", ...KPTRS, "uptr"],
]);
