// Helpers on strings (kernel/bpf/helpers.c).

import type { Helpers, Host } from "./helper.ts";

export function stringHelpers(host: Host): Helpers {
  const { arena } = host;
  return {
    // bpf_strncmp()
    182: (one: number, size: number, other: number) => {
      arena.readable(one >>> 0, size >>> 0);
      for (let i = 0; i < size >>> 0; i++) {
        arena.readable((other >>> 0) + i, 1);
        const a = arena.bytes[(one >>> 0) + i] as number;
        const b = arena.bytes[(other >>> 0) + i] as number;
        if (a !== b) return a < b ? -1 : 1;
        if (a === 0) return 0;
      }
      return 0;
    },
  };
}
