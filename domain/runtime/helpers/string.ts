import type { Helpers, Host } from "./helper.ts";

/** Helpers on strings (kernel/bpf/helpers.c). */

export function stringHelpers(host: Host): Helpers {
  const { arena } = host;
  return {
    strncmp: (left: number, size: number, right: number) => {
      arena.checkReadable(left >>> 0, size >>> 0);
      for (let i = 0; i < size >>> 0; i++) {
        arena.checkReadable((right >>> 0) + i, 1);
        const a = arena.bytes[(left >>> 0) + i] as number;
        const b = arena.bytes[(right >>> 0) + i] as number;
        if (a !== b) return a < b ? -1 : 1;
        if (a === 0) return 0;
      }
      return 0;
    },
  };
}
