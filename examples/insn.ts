/** Programs as bytes: struct bpf_insn of linux/bpf.h is opcode, two registers, offset, immediate. */

const MOV64_IMM = 0xb7;
const LD_IMM64 = 0x18;
const CALL = 0x85;
const EXIT = 0x95;
const BPF_PSEUDO_MAP_FD = 1;
const BPF_FUNC_tail_call = 12;

/** What a classifier answers about a packet (linux/pkt_cls.h). */
export const TC_ACT_OK = 0;
export const TC_ACT_SHOT = 2;

function insn(opcode: number, dst = 0, src = 0, imm = 0): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8((src << 4) | dst, 1);
  bytes.writeInt32LE(imm, 4);
  return bytes.toString("hex");
}

/** `return verdict;` */
export const returns = (verdict: number) => insn(MOV64_IMM, 0, 0, verdict) + insn(EXIT);

/** `bpf_tail_call(ctx, array, slot); return TC_ACT_OK;` The array is named by its fd. */
export function tailCall(arrayFd: number, slot: number): string {
  const loadArray = insn(LD_IMM64, 2, BPF_PSEUDO_MAP_FD, arrayFd) + insn(0);
  const call = insn(MOV64_IMM, 3, 0, slot) + insn(CALL, 0, 0, BPF_FUNC_tail_call);
  return loadArray + call + returns(TC_ACT_OK);
}
