/**
 * Models prefixes as strings of bits: a linear search for lookups, and a naive trie for the order.
 */

export interface Prefix {
  /** The key as it was stored, including the bits behind the prefix. */
  key: Buffer;
  value: string;
}

export const lengthOf = (key: Buffer) => key.readUInt32LE();

export function bitsOf(key: Buffer): string {
  const all = [...key.subarray(4)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return all.slice(0, lengthOf(key));
}

interface TrieNode {
  children: [TrieNode | undefined, TrieNode | undefined];
  prefix?: Prefix;
}

export class LpmModel {
  readonly prefixes = new Map<string, Prefix>();

  set(prefix: Prefix): void {
    this.prefixes.set(bitsOf(prefix.key), prefix);
  }

  delete(key: Buffer): boolean {
    return this.prefixes.delete(bitsOf(key));
  }

  /** Returns the value of the longest prefix that matches the key. */
  lookup(key: Buffer): string | undefined {
    const wanted = bitsOf(key);
    let best = "";
    let found: string | undefined;
    for (const [bits, { value }] of this.prefixes) {
      if (bits.length >= best.length && wanted.startsWith(bits)) {
        best = bits;
        found = value;
      }
    }
    return found;
  }

  /**
   * Lists keys in the order of the kernel's walk: below a node, 0 before 1 before the node itself.
   */
  walk(): string[] {
    const root: TrieNode = { children: [undefined, undefined] };
    for (const [bits, prefix] of this.prefixes) {
      let node = root;
      for (const bit of bits) {
        const side = bit === "1" ? 1 : 0;
        node.children[side] ??= { children: [undefined, undefined] };
        node = node.children[side];
      }
      node.prefix = prefix;
    }
    const keys: string[] = [];
    const visit = (node: TrieNode | undefined) => {
      if (!node) return;
      for (const child of node.children) visit(child);
      if (node.prefix) keys.push(node.prefix.key.toString("hex"));
    };
    visit(root);
    return keys;
  }
}
