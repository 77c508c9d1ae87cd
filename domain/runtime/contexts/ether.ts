/** Arithmetic on the fields of packet headers. */

/** FNV-1a hash (u32), never 0. */
export function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0 || 1;
}

/** eth_type_vlan() */
export function isVlan(protocol: number): boolean {
  return protocol === 0x8100 || protocol === 0x88a8;
}

export function swap16(n: number): number {
  return ((n & 0xff) << 8) | (n >>> 8);
}
