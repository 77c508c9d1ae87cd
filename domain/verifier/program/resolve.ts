import { classOf, type Insn, isKnown, modeOf } from "../../isa/insn.ts";
import {
  BPF_LDX,
  BPF_MEM,
  BPF_MEMSX,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { einval, type MapRef, type Refusal, refuse, type VerifierOptions } from "../verdict.ts";

/**
 * resolve_pseudo_ldimm64(): one pass, in program order, that finds the map references and unknown
 * opcodes. A bad fd that comes first wins over a later unknown opcode.
 */

export interface Resolved {
  readonly refs: readonly MapRef[];
  readonly refusal: Refusal | null;
  /** The instruction refused. */
  readonly at?: number;
}

/** The service has no BTF objects; ids of the running kernel's variables mean nothing here. */
function btfId(id: number, module: number): Refusal {
  if (module !== 0) return einval("invalid module BTF object FD specified.");
  if (id < 0) return refuse("ENOENT", `ldimm64 insn specifies invalid btf_id ${id}.`);
  return einval(`pseudo btf_id ${id} in ldimm64 isn't KIND_VAR or KIND_FUNC`);
}

function fdIndex(index: number, length: number | undefined): Refusal | null {
  if (length === undefined) return refuse("EPROTO", "fd_idx without fd_array is invalid");
  return index < 0 || index >= length ? refuse("EFAULT", "") : null;
}

/** The map a ld_imm64 names, a refusal, or null when it names none. */
function mapOf(
  insn: Insn,
  next: Insn,
  at: number,
  options: VerifierOptions,
): MapRef | Refusal | null {
  const { src, imm: value } = insn;
  if (src === 0 || src === BPF_PSEUDO_FUNC) return null;
  if (src === BPF_PSEUDO_BTF_ID) return btfId(value, next.imm);
  const direct = src === BPF_PSEUDO_MAP_VALUE || src === BPF_PSEUDO_MAP_IDX_VALUE;
  const indexed = src === BPF_PSEUDO_MAP_IDX || src === BPF_PSEUDO_MAP_IDX_VALUE;
  if (!direct && ((src !== BPF_PSEUDO_MAP_FD && !indexed) || next.imm !== 0)) {
    return einval("unrecognized bpf_ld_imm64 insn");
  }
  const refusal = indexed ? fdIndex(value, options.fdArrayLength) : null;
  const offset = direct ? next.imm >>> 0 : 0;
  return refusal ?? { insn: at, kind: indexed ? "idx" : "fd", value, direct, offset };
}

const isSecondHalf = (insn: Insn | undefined): insn is Insn =>
  insn !== undefined && insn.code === 0 && insn.dst === 0 && insn.src === 0 && insn.off === 0;

function hasReservedLoadFields(insn: Insn): boolean {
  const mode = modeOf(insn);
  const plain = (mode === BPF_MEM || mode === BPF_MEMSX) && insn.imm === 0;
  return classOf(insn) === BPF_LDX && !plain;
}

function checkOpcode(insn: Insn): Refusal | null {
  if (hasReservedLoadFields(insn)) return einval("BPF_LDX uses reserved fields");
  if (isKnown(insn)) return null;
  return einval(`unknown opcode ${insn.code.toString(16).padStart(2, "0")}`);
}

export function resolvePseudoLdImm64(prog: readonly Insn[], options: VerifierOptions): Resolved {
  const refs: MapRef[] = [];
  for (let at = 0; at < prog.length; at++) {
    const insn = prog[at] as Insn;
    if (insn.code !== LD_IMM64) {
      const refusal = checkOpcode(insn);
      if (refusal !== null) return { refs, refusal, at };
      continue;
    }
    const next = prog[at + 1];
    if (!isSecondHalf(next)) return { refs, refusal: einval("invalid bpf_ld_imm64 insn"), at };
    const found = mapOf(insn, next, at, options);
    if (found !== null && "errno" in found) return { refs, refusal: found, at };
    if (found !== null) refs.push(found);
    at++;
  }
  return { refs, refusal: null };
}
