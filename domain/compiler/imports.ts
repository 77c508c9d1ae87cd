import { ADD_LOOKUP, HELPERS, helperImport, type Signature } from "./abi.ts";
import type { Scan } from "./analysis/scan.ts";

/** Numbers the imports, functions and globals of a module. */

/** Signatures of the imports behind bpf_tail_call() and LD_ABS. */
const TAIL_CALL: Signature = { args: "iib", ret: "i" };
const SKB_LOAD: Signature = { args: "ii", ret: "l" };

export interface Import {
  readonly name: string;
  readonly signature: Signature;
}

export interface Imports extends Scan {
  readonly list: readonly Import[];
  /** Index of each function, by the import's name or the subprogram's first instruction. */
  readonly functions: ReadonlyMap<string | number, number>;
  /** Index of the exported function that calls a subprogram by handle. */
  readonly callback: number;
  /** The program makes tail calls, through the shared table of programs. */
  readonly hasTailCalls: boolean;
}

/** Indexes of the globals: fuel, floor, and three for each map. */
export const globals = {
  fuel: 0,
  floor: 1,
  map: (i: number): number => 2 + 3 * i,
  base: (i: number): number => 3 + 3 * i,
  seen: (i: number): number => 4 + 3 * i,
};

/** A handle of a function is its subprogram's number + 1. */
export const handleOf = ({ starts }: Scan, start: number): number => starts.indexOf(start) + 1;

/** Lists the imports of a module; add_lookup is among them only if some lookup needs it. */
export function planImports(scan: Scan, hasAddOnlyLookups: boolean): Imports {
  const list: Import[] = [];
  if (hasAddOnlyLookups) list.push({ name: "add_lookup", signature: ADD_LOOKUP });
  if (scan.hasSkbLoads) list.push({ name: "skb_load", signature: SKB_LOAD });
  const hasTailCalls = scan.helpers.has("tail_call");
  if (hasTailCalls) list.push({ name: "tail_call", signature: TAIL_CALL });
  for (const name of scan.helpers) {
    const signature = HELPERS[name];
    if (signature !== undefined) list.push({ name: helperImport(name), signature });
  }
  const functions = new Map<string | number, number>();
  for (const { name } of list) functions.set(name, functions.size);
  for (const start of scan.starts) functions.set(start, functions.size);
  return { ...scan, list, functions, callback: functions.size, hasTailCalls };
}
