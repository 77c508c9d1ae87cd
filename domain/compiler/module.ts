import type { Signature } from "./abi.ts";
import { MEMORY_PAGES } from "./abi.ts";
import { SHARED_TABLE, SUBPROGRAM_TYPE_INDEX } from "./emit/call.ts";
import { globals, handleOf, type Imports } from "./imports.ts";
import * as wasm from "./wasm/wasm.ts";
import type { WasmWriter } from "./wasm/wasm_writer.ts";

/** Writes the sections of a module around its code. */

const { KIND, SECTION } = wasm;
/** Upper bound of the bytes of one entry of a section, names included. */
const ENTRY_BYTES = 64;
/** Flag of limits that have a minimum and no maximum. */
const MIN = 0;
const MUTABLE = 1;
const IMPORT_MODULE = "env";

const SUBPROGRAM_TYPE = [wasm.I64, wasm.I64, wasm.I64, wasm.I64, wasm.I64, wasm.I32];
const CALLBACK_TYPE = [wasm.I32, ...SUBPROGRAM_TYPE];
/** Index of the type of the exported callback function. */
const CALLBACK_TYPE_INDEX = 1;

const RESULTS = { i: [wasm.I32], p: [wasm.I32], l: [wasm.I64], v: [] } as const;

function writeSection(
  writer: WasmWriter,
  id: number,
  count: number,
  entry: (i: number) => void,
): void {
  if (count === 0) return;
  writer.reserve(ENTRY_BYTES);
  writer.op(id);
  const begun = writer.beginSized();
  writer.u32(count);
  for (let i = 0; i < count; i++) {
    writer.reserve(ENTRY_BYTES);
    entry(i);
  }
  writer.endSized(begun);
}

function writeFunctionType(
  writer: WasmWriter,
  params: readonly number[],
  results: readonly number[],
): void {
  writer.op(wasm.FUNC);
  for (const types of [params, results]) {
    writer.u32(types.length);
    for (const type of types) writer.op(type);
  }
}

function writeHelperType(writer: WasmWriter, { args, ret }: Signature): void {
  const params = [...args].map((kind) => (kind === "l" ? wasm.I64 : wasm.I32));
  writeFunctionType(writer, params, RESULTS[ret]);
}

/** Writes the types: one of subprograms, one of `callback`, then one for each import. */
function writeTypes(writer: WasmWriter, { list }: Imports): void {
  writeSection(writer, SECTION.type, list.length + 2, (i) => {
    const signature = list[i - 2]?.signature;
    if (signature !== undefined) writeHelperType(writer, signature);
    else
      writeFunctionType(writer, i === SUBPROGRAM_TYPE_INDEX ? SUBPROGRAM_TYPE : CALLBACK_TYPE, [
        wasm.I64,
      ]);
  });
}

function writeImportName(writer: WasmWriter, name: string, kind: number): void {
  writer.name(IMPORT_MODULE);
  writer.name(name);
  writer.op(kind);
}

function writeImports(writer: WasmWriter, { list, hasTailCalls }: Imports): void {
  const shared = [
    () => {
      writeImportName(writer, "memory", KIND.memory);
      writer.op(MIN);
      writer.u32(MEMORY_PAGES);
    },
    () => {
      writeImportName(writer, "fuel", KIND.global);
      writer.op(wasm.I64);
      writer.op(MUTABLE);
    },
    () => {
      writeImportName(writer, "floor", KIND.global);
      writer.op(wasm.I32);
      writer.op(MUTABLE);
    },
    () => {
      writeImportName(writer, "table", KIND.table);
      writer.op(wasm.FUNCREF);
      writer.op(MIN);
      writer.u32(0);
    },
  ].slice(0, hasTailCalls ? 4 : 3);
  writeSection(writer, SECTION.import, shared.length + list.length, (i) => {
    const place = i - shared.length;
    if (place < 0) return shared[i]?.();
    writeImportName(writer, list[place]?.name as string, KIND.func);
    writer.u32(place + 2);
  });
}

/**
 * Index of the module's own table, which holds each function whose handle is taken at that handle.
 */
const ownTable = ({ hasTailCalls }: Imports): number =>
  hasTailCalls ? SHARED_TABLE + 1 : SHARED_TABLE;

function writeDeclarations(writer: WasmWriter, imports: Imports, maps: number): void {
  const calledBack = imports.taken.size > 0;
  const { length } = imports.starts;
  writeSection(writer, SECTION.function, length + (calledBack ? 1 : 0), (i) => {
    writer.u32(i < length ? SUBPROGRAM_TYPE_INDEX : CALLBACK_TYPE_INDEX);
  });
  writeSection(writer, SECTION.table, calledBack ? 1 : 0, () => {
    writer.op(wasm.FUNCREF);
    writer.op(MIN);
    writer.u32(length + 1);
  });
  writeSection(writer, SECTION.global, 3 * maps, () => {
    writer.op(wasm.I32);
    writer.op(MUTABLE);
    writer.i32Const(0);
    writer.op(wasm.END);
  });
}

function writeExports(writer: WasmWriter, imports: Imports, maps: number): void {
  const entries: [name: string, kind: number, index: number][] = [
    ["main", KIND.func, imports.functions.get(0) as number],
  ];
  if (imports.taken.size > 0) entries.push(["callback", KIND.func, imports.callback]);
  for (let i = 0; i < maps; i++) {
    for (const name of ["map", "base", "seen"] as const) {
      entries.push([`${name}${i}`, KIND.global, globals[name](i)]);
    }
  }
  writeSection(writer, SECTION.export, entries.length, (i) => {
    const [name, kind, index] = entries[i] as (typeof entries)[number];
    writer.name(name);
    writer.op(kind);
    writer.u32(index);
  });
}

function writeElements(writer: WasmWriter, imports: Imports): void {
  const taken = [...imports.taken];
  writeSection(writer, SECTION.element, taken.length, (i) => {
    const start = taken[i] as number;
    writer.u32(2); // active, with the index of a table
    writer.u32(ownTable(imports));
    writer.i32Const(handleOf(imports, start));
    writer.op(wasm.END);
    writer.op(0); // functions
    writer.u32(1);
    writer.u32(imports.functions.get(start) as number);
  });
}

/** Writes callback(handle, r1..r5, sb), which calls a subprogram by handle. */
function writeCallback(writer: WasmWriter, imports: Imports): void {
  writer.reserve(ENTRY_BYTES);
  const begun = writer.beginSized();
  writer.u32(0);
  for (let param = 1; param < CALLBACK_TYPE.length; param++) writer.localGet(param);
  writer.localGet(0);
  writer.opWithIndex(wasm.CALL_INDIRECT, SUBPROGRAM_TYPE_INDEX);
  writer.u32(ownTable(imports));
  writer.op(wasm.END);
  writer.endSized(begun);
}

/** Writes a module; `writeBody` writes the function of the subprogram with this number. */
export function writeModule(
  writer: WasmWriter,
  imports: Imports,
  maps: number,
  writeBody: (i: number) => void,
): void {
  for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) writer.op(byte);
  writeTypes(writer, imports);
  writeImports(writer, imports);
  writeDeclarations(writer, imports, maps);
  writeExports(writer, imports, maps);
  writeElements(writer, imports);
  const { length } = imports.starts;
  writeSection(writer, SECTION.code, length + (imports.taken.size > 0 ? 1 : 0), (i) => {
    if (i < length) writeBody(i);
    else writeCallback(writer, imports);
  });
}
