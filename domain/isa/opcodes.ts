// Operations of instructions by their bits, as linux/bpf.h names them.

/** The operand is a register. */
export const X = 0x08;

export const ADD = 0x00;
export const DIV = 0x30;
export const NEG = 0x80;
export const MOD = 0x90;
export const MOV = 0xb0;
/** BPF_END: byte order. */
export const BYTES = 0xd0;

export const JEQ = 0x10;
export const JSET = 0x40;
export const JNE = 0x50;

/** imm of an atomic instruction; FETCH may come with the first four. */
export const ATOMIC_ADD = 0x00;
export const ATOMIC_OR = 0x40;
export const ATOMIC_AND = 0x50;
export const ATOMIC_XOR = 0xa0;
export const FETCH = 0x01;
export const XCHG = 0xe1;
export const CMPXCHG = 0xf1;
export const LOAD_ACQUIRE = 0x100;
export const STORE_RELEASE = 0x110;

/** Helpers that the compiler knows. */
export const LOOKUP = 1;
export const LOOP = 181;
