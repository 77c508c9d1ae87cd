import {
  ARENA,
  elementStride,
  HELPERS,
  helperImport,
  MEMORY_START,
  type Signature,
  STACK,
} from "../../../domain/compiler/abi.ts";
import { BPF_FUNC, type HelperName, helperOf } from "../../../domain/isa/helpers/index.ts";
import { MAX_TAIL_CALL_CNT } from "../../../domain/isa/limits.ts";
import { Trap } from "../interpreter/interpreter.ts";
import { type Imported, type Region, STACK_REGION } from "../interpreter/machine.ts";
import { Memory } from "../interpreter/memory.ts";
import { DATA } from "./random_insns.ts";
import { MAPS } from "./random_program.ts";

/**
 * Provides the environment of random programs, the same for the interpreter and for the machine.
 */

const STRIDE = elementStride(MAPS[0] as (typeof MAPS)[number]);
const ENTRIES = 3;
const VALUE = 21;
const HANDLE = 0x40;

export const DATA_AT = ARENA;
export const ARRAY_AT = ARENA + 0x100;
export const HASH_AT = ARENA + 0x200;
/** Compiled lookups write these bytes, which programs must not access. */
export const SEEN_AT = ARENA + 0x8000;
/** Programs may access memory only below this address. */
export const WINDOW_END = ARENA + 0x1000;

const values = (at: number): Region[] =>
  Array.from({ length: ENTRIES }, (_, i) => ({ at: at + i * STRIDE, bytes: VALUE, write: true }));

export const REGIONS: readonly Region[] = [
  STACK_REGION,
  { at: DATA_AT, bytes: DATA, write: true },
  ...values(ARRAY_AT),
  ...values(HASH_AT),
];

/** Computes a number that depends on all arguments, so that a wrong argument is visible. */
function mix(number: number, args: readonly bigint[]): bigint {
  const mixed = args.reduce((sum, arg) => sum * 0x9e3779b97f4a7c15n + arg + 1n, BigInt(number));
  return BigInt.asUintN(64, mixed ^ (BigInt.asUintN(64, mixed) >> 31n));
}

export class RandomMaps extends Memory {
  #tailCalls = 0;
  readonly #programs: readonly Buffer[];

  /** @param base the address of the first byte of `memory` */
  constructor(programs: readonly Buffer[], memory: Uint8Array, base: number) {
    super(memory, base, REGIONS);
    this.#programs = programs;
  }

  override map(index: number): bigint {
    return BigInt(HANDLE + index);
  }

  #lookup(map: number, key: number): bigint {
    const index = Number(this.read(BigInt(key), 4));
    const at = map === HANDLE ? ARRAY_AT : HASH_AT;
    return index < ENTRIES ? BigInt(at + index * STRIDE) : 0n;
  }

  override helper(number: number, args: readonly bigint[]): bigint {
    const name = helperOf(number);
    const signature = name && HELPERS[name];
    if (signature === undefined) throw new Trap(`helper ${number}`);
    const seen = [...signature.args].map((kind, i) =>
      BigInt.asUintN(kind === "i" ? 32 : 64, args[i] as bigint),
    );
    if (name === "map_lookup_elem") return this.#lookup(Number(seen[0]), Number(seen[1]));
    const result = mix(number, seen);
    if (signature.ret === "i") return BigInt.asIntN(32, result);
    return signature.ret === "v" ? 0n : BigInt.asUintN(signature.ret === "p" ? 32 : 64, result);
  }

  /** Returns the index of the program in the table of programs, or -1 if the slot is empty. */
  slot(index: number): number {
    const hit = index < this.#programs.length && this.#tailCalls < MAX_TAIL_CALL_CNT;
    if (hit) this.#tailCalls++;
    return hit ? index : -1;
  }

  override tailCall(_map: bigint, index: number): Uint8Array | undefined {
    return this.#programs[this.slot(index)];
  }

  override packet(offset: number, bytes: number): bigint {
    if (offset < 0 || offset + bytes > DATA) return -1n;
    const at = DATA_AT - this.base + offset;
    if (bytes === 4) return BigInt(this.view.getUint32(at));
    return BigInt(bytes === 2 ? this.view.getUint16(at) : this.view.getUint8(at));
  }

  /** Provides the same environment as imports of a compiled program. */
  imports(): Record<string, Imported> {
    const out: Record<string, Imported> = {
      tail_call: (_map, index) => this.slot(Number(index) >>> 0),
      skb_load: (offset, size) => this.packet(Number(offset), Number(size)),
    };
    for (const [name, { ret }] of Object.entries(HELPERS) as [HelperName, Signature][]) {
      out[helperImport(name)] = (...args) => {
        const result = this.helper(BPF_FUNC[name], args.map(BigInt));
        return ret === "l" ? result : Number(BigInt.asIntN(32, result));
      };
    }
    return { ...out, add_lookup: out[helperImport("map_lookup_elem")] as Imported };
  }
}

/** Fills memory with the same bytes before each run of a seed. */
export function fill(memory: Uint8Array, base: number, seed: number): void {
  memory.fill(0, STACK - base, WINDOW_END - base);
  for (const { at, bytes } of REGIONS.slice(1)) {
    for (let i = 0; i < bytes; i++) memory[at - base + i] = (seed + i * 37 + at) & 0xff;
  }
}

export const WINDOW_AT = MEMORY_START;
