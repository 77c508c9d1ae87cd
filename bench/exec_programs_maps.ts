import { type BenchProgram, type ProgramShape, TIMES } from "./exec_program.ts";

/** The programs that look up elements. */

const ELEMENTS = 64;

/** Looks up the elements in turn and adds 1 to each; returns element 0. */
const lookups = (adding: string) => `
  r6 = ${TIMES}
next:
  r1 = r6
  r1 &= ${ELEMENTS - 1}
  *(u32 *)(r10 -4) = r1
  r1 = map[fd:0]
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto none
  ${adding}
  r6 += -1
  if r6 != 0 goto next
  *(u32 *)(r10 -4) = 0
  r1 = map[fd:0]
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto none
  r0 = *(u64 *)(r0 +0)
  exit
none:
  r0 = 0
  exit`;

const shape = (map_type: ProgramShape["map_type"]): ProgramShape => ({
  ...{ map_type, key_size: 4, value_size: 8, max_entries: ELEMENTS, map_flags: 0 },
});

export const array: BenchProgram = {
  name: `array, ${TIMES} lookups and lock adds`,
  asm: lookups("r1 = 1\n  lock *(u64 *)(r0 +0) += r1"),
  map: shape("array"),
  native: () => {
    const values = new Float64Array(ELEMENTS);
    return () => {
      for (let i = TIMES; i !== 0; i--) {
        const key = i & (ELEMENTS - 1);
        values[key] = (values[key] as number) + 1;
      }
      return (values[0] as number) >>> 0;
    };
  },
};

export const hash: BenchProgram = {
  name: `hash, ${TIMES} lookups and adds`,
  asm: lookups("r1 = *(u64 *)(r0 +0)\n  r1 += 1\n  *(u64 *)(r0 +0) = r1"),
  map: shape("hash"),
  native: () => {
    const values = new Map(Array.from({ length: ELEMENTS }, (_, i) => [i, { sum: 0 }]));
    return () => {
      for (let i = TIMES; i !== 0; i--) {
        const value = values.get(i & (ELEMENTS - 1));
        if (value) value.sum += 1;
      }
      return (values.get(0)?.sum ?? 0) >>> 0;
    };
  },
};
