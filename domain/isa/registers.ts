/** The registers that the code treats apart, as indexes into a program's register file. */

/** The packet that LD_ABS and LD_IND read. */
export const BPF_REG_6 = 6;
/** The frame pointer: read-only, and the last of the registers. */
export const BPF_REG_FP = 10;
