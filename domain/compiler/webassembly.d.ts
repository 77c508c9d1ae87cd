/**
 * Declares the WebAssembly JavaScript API, which Node has but its types lack (they are in lib
 * "dom").
 */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: BufferSource);
  }
  class Memory {
    readonly buffer: ArrayBuffer;
    constructor(limits: { initial: number; maximum?: number });
  }
  class Table {
    readonly length: number;
    constructor(limits: { element: "anyfunc"; initial: number; maximum?: number });
    get(index: number): unknown;
    set(index: number, value: unknown): void;
    grow(by: number): number;
  }
  class Global<T = number> {
    value: T;
    constructor(type: { value: "i32" | "i64"; mutable?: boolean }, value: T);
  }
  class Instance {
    readonly exports: Exports;
    constructor(module: Module, imports?: Imports);
  }
  class RuntimeError extends Error {}
  class CompileError extends Error {}

  type Exports = Record<string, unknown>;
  type Imports = Record<string, Record<string, unknown>>;

  function validate(bytes: BufferSource): boolean;
}

type BufferSource = ArrayBuffer | ArrayBufferView;
