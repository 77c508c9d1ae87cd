/** The registers, as indexes into a program's register file. */

export const BPF_REG_0 = 0;
export const BPF_REG_1 = 1;
export const BPF_REG_5 = 5;
/** The packet of LD_ABS and LD_IND. */
export const BPF_REG_6 = 6;
/** The frame pointer, which programs only read. */
export const BPF_REG_FP = 10;
export const MAX_BPF_REG = 11;
