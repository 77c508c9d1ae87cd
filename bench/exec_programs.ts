import { type BenchProgram, TIMES } from "./exec_program.ts";
import { array, hash } from "./exec_programs_maps.ts";

/**
 * The programs to measure, as text and as native JavaScript. The verifier of Linux accepts all of them
 * except the primes up to 2000, which it finds too complex. Every engine returns the same first result.
 */

const FIB = 10_000;
const PACKET = 1500;

/** Every byte differs from its neighbours. */
export const packet = Uint8Array.from({ length: PACKET }, (_, i) => (i * 7 + (i >> 8)) & 0xff);

const fib: BenchProgram = {
  name: `fib, ${FIB} iterations`,
  asm: `
  r0 = 0
  r1 = 1
  r2 = ${FIB}
next:
  r3 = r0
  r3 += r1
  r0 = r1
  r1 = r3
  r2 += -1
  if r2 != 0 goto next
  exit`,
  native: () => () => {
    let [a, b] = [0, 1];
    for (let i = FIB; i !== 0; i--) {
      const sum = (a + b) | 0;
      a = b;
      b = sum;
    }
    return a >>> 0;
  },
};

const checksum: BenchProgram = {
  name: `checksum of ${PACKET} bytes`,
  asm: `
  r2 = *(u32 *)(r1 +76)
  r3 = *(u32 *)(r1 +80)
  r4 = r2
  r4 += ${PACKET}
  r0 = 0
  if r4 > r3 goto out
  r1 = ${PACKET / 2}
next:
  r5 = *(u16 *)(r2 +0)
  r0 += r5
  r2 += 2
  r1 += -1
  if r1 != 0 goto next
  r1 = r0
  r1 >>= 16
  r0 &= 65535
  r0 += r1
  r1 = r0
  r1 >>= 16
  r0 += r1
  r0 ^= 65535
  r0 &= 65535
out:
  exit`,
  native: (bytes) => {
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, PACKET / 2);
    return () => {
      let sum = 0;
      for (let i = 0; i < words.length; i++) sum += words[i] as number;
      sum = (sum & 0xffff) + (sum >>> 16);
      sum += sum >>> 16;
      return ~sum & 0xffff;
    };
  },
};

const primes = (limit: number): BenchProgram => ({
  name: `primes up to ${limit}`,
  asm: `
  r0 = 0
  r1 = 2
number:
  r2 = 2
divisor:
  r3 = r2
  r3 *= r2
  if r3 > r1 goto prime
  r4 = r1
  r4 %= r2
  if r4 == 0 goto composite
  r2 += 1
  goto divisor
prime:
  r0 += 1
composite:
  r1 += 1
  if r1 != ${limit + 1} goto number
  exit`,
  native: () => () => {
    let count = 0;
    for (let n = 2; n <= limit; n++) {
      let d = 2;
      while (d * d <= n && n % d !== 0) d++;
      if (d * d > n) count++;
    }
    return count;
  },
});

const SLOTS = 8;
const slots = Array.from({ length: SLOTS }, (_, i) => `*(u64 *)(r10 -${8 * (i + 1)})`);
const lines = (line: (slot: string) => string) => slots.map(line).join("\n  ");

const stack: BenchProgram = {
  name: `stack, ${TIMES} read-modify-writes of ${SLOTS} slots`,
  asm: `
  ${lines((slot) => `${slot} = 0`)}
  r1 = ${TIMES / SLOTS}
next:
  ${lines((slot) => `r2 = ${slot}\n  r2 += r1\n  ${slot} = r2`)}
  r1 += -1
  if r1 != 0 goto next
  r0 = 0
  ${lines((slot) => `r2 = ${slot}\n  r0 += r2`)}
  exit`,
  native: () => {
    const values = new Float64Array(SLOTS);
    return () => {
      values.fill(0);
      for (let i = TIMES / SLOTS; i !== 0; i--) {
        for (let at = 0; at < SLOTS; at++) values[at] = (values[at] as number) + i;
      }
      return values.reduce((sum, value) => sum + value, 0);
    };
  },
};

const calls: BenchProgram = {
  name: `calls, ${TIMES} of a subprogram`,
  asm: `
  r6 = ${TIMES}
  r0 = 0
next:
  r1 = r0
  r2 = r6
  call sum
  r6 += -1
  if r6 != 0 goto next
  exit
sum:
  r0 = r1
  r0 += r2
  exit`,
  native: () => {
    const sum = (a: number, b: number) => (a + b) | 0;
    return () => {
      let total = 0;
      for (let i = TIMES; i !== 0; i--) total = sum(total, i);
      return total >>> 0;
    };
  },
};

export const programs: readonly BenchProgram[] = [
  fib,
  checksum,
  primes(300),
  primes(2000),
  stack,
  calls,
  array,
  hash,
];
