// The sections of a module around its code.

import type { Signature } from "./abi.ts";
import { MEMORY_PAGES } from "./abi.ts";
import { SHARED_TABLE, SUBPROGRAM } from "./emit/call.ts";
import { globals, handleOf, type Imports } from "./imports.ts";
import * as wasm from "./wasm/wasm.ts";
import type { WasmWriter } from "./wasm/wasm_writer.ts";

const { KIND, SECTION } = wasm;
/** Bytes of an entry of a section, at most, names included. */
const ENTRY = 64;
/** Of limits: a least size alone. */
const MIN = 0;
const MUTABLE = 1;
const EXTERNS = "env";

const SUBPROGRAM_TYPE = [wasm.I64, wasm.I64, wasm.I64, wasm.I64, wasm.I64, wasm.I32];
const CALLBACK_TYPE = [wasm.I32, ...SUBPROGRAM_TYPE];
/** Index of the type of the function that calls by handle. */
const CALLBACK = 1;

const RESULTS = { i: [wasm.I32], p: [wasm.I32], l: [wasm.I64], v: [] } as const;

function section(code: WasmWriter, id: number, count: number, entry: (i: number) => void): void {
  if (count === 0) return;
  code.room(ENTRY);
  code.op(id);
  const begun = code.begin();
  code.u32(count);
  for (let i = 0; i < count; i++) {
    code.room(ENTRY);
    entry(i);
  }
  code.close(begun);
}

function functionType(
  code: WasmWriter,
  params: readonly number[],
  results: readonly number[],
): void {
  code.op(wasm.FUNC);
  for (const types of [params, results]) {
    code.u32(types.length);
    for (const type of types) code.op(type);
  }
}

function helperType(code: WasmWriter, { args, ret }: Signature): void {
  const params = [...args].map((kind) => (kind === "l" ? wasm.I64 : wasm.I32));
  functionType(code, params, RESULTS[ret]);
}

/** Each import has a type of its own, after those of subprograms and of `callback`. */
function types(code: WasmWriter, { imports }: Imports): void {
  section(code, SECTION.type, imports.length + 2, (i) => {
    const signature = imports[i - 2]?.signature;
    if (signature !== undefined) helperType(code, signature);
    else functionType(code, i === SUBPROGRAM ? SUBPROGRAM_TYPE : CALLBACK_TYPE, [wasm.I64]);
  });
}

function importHead(code: WasmWriter, name: string, kind: number): void {
  code.name(EXTERNS);
  code.name(name);
  code.op(kind);
}

function imports(code: WasmWriter, { imports, chains }: Imports): void {
  const shared = [
    () => {
      importHead(code, "memory", KIND.memory);
      code.op(MIN);
      code.u32(MEMORY_PAGES);
    },
    () => {
      importHead(code, "fuel", KIND.global);
      code.op(wasm.I64);
      code.op(MUTABLE);
    },
    () => {
      importHead(code, "floor", KIND.global);
      code.op(wasm.I32);
      code.op(MUTABLE);
    },
    () => {
      importHead(code, "table", KIND.table);
      code.op(wasm.FUNCREF);
      code.op(MIN);
      code.u32(0);
    },
  ].slice(0, chains ? 4 : 3);
  section(code, SECTION.import, shared.length + imports.length, (i) => {
    const place = i - shared.length;
    if (place < 0) return shared[i]?.();
    importHead(code, imports[place]?.name as string, KIND.func);
    code.u32(place + 2);
  });
}

/** Functions whose handles are taken are in a table of the module's own, each at its handle. */
const ownTable = ({ chains }: Imports): number => (chains ? SHARED_TABLE + 1 : SHARED_TABLE);

function declarations(code: WasmWriter, links: Imports, maps: number): void {
  const calledBack = links.taken.size > 0;
  const { length } = links.starts;
  section(code, SECTION.function, length + (calledBack ? 1 : 0), (i) => {
    code.u32(i < length ? SUBPROGRAM : CALLBACK);
  });
  section(code, SECTION.table, calledBack ? 1 : 0, () => {
    code.op(wasm.FUNCREF);
    code.op(MIN);
    code.u32(length + 1);
  });
  section(code, SECTION.global, 3 * maps, () => {
    code.op(wasm.I32);
    code.op(MUTABLE);
    code.i32(0);
    code.op(wasm.END);
  });
}

function exports(code: WasmWriter, links: Imports, maps: number): void {
  const entries: [name: string, kind: number, index: number][] = [
    ["main", KIND.func, links.functions.get(0) as number],
  ];
  if (links.taken.size > 0) entries.push(["callback", KIND.func, links.callback]);
  for (let i = 0; i < maps; i++) {
    for (const name of ["map", "base", "seen"] as const) {
      entries.push([`${name}${i}`, KIND.global, globals[name](i)]);
    }
  }
  section(code, SECTION.export, entries.length, (i) => {
    const [name, kind, index] = entries[i] as (typeof entries)[number];
    code.name(name);
    code.op(kind);
    code.u32(index);
  });
}

function elements(code: WasmWriter, links: Imports): void {
  const taken = [...links.taken];
  section(code, SECTION.element, taken.length, (i) => {
    const start = taken[i] as number;
    code.u32(2); // active, with the index of a table
    code.u32(ownTable(links));
    code.i32(handleOf(links, start));
    code.op(wasm.END);
    code.op(0); // functions
    code.u32(1);
    code.u32(links.functions.get(start) as number);
  });
}

/** callback(handle, r1..r5, sb) */
function callByHandle(code: WasmWriter, links: Imports): void {
  code.room(ENTRY);
  const begun = code.begin();
  code.u32(0);
  for (let param = 1; param < CALLBACK_TYPE.length; param++) code.get(param);
  code.get(0);
  code.with(wasm.CALL_INDIRECT, SUBPROGRAM);
  code.u32(ownTable(links));
  code.op(wasm.END);
  code.close(begun);
}

/** Writes a module; `body` writes the function of the subprogram with this number. */
export function writeModule(
  code: WasmWriter,
  links: Imports,
  maps: number,
  body: (i: number) => void,
): void {
  for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) code.op(byte);
  types(code, links);
  imports(code, links);
  declarations(code, links, maps);
  exports(code, links, maps);
  elements(code, links);
  const { length } = links.starts;
  section(code, SECTION.code, length + (links.taken.size > 0 ? 1 : 0), (i) => {
    if (i < length) body(i);
    else callByHandle(code, links);
  });
}
