import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Generator } from "./generator.ts";
import { newNode, ROOT, run, SHOP } from "./workshop.ts";

/** What the generators for TypeScript share: their command lines, the compiler's settings and the run. */

const STRICT = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noFallthroughCasesInSwitch: true,
  skipLibCheck: false,
};
type StrictSetting = keyof typeof STRICT;

const COMPILER = {
  target: "es2022",
  lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
  module: "esnext",
  moduleResolution: "bundler",
  allowImportingTsExtensions: true,
  types: ["node"],
  noEmit: true,
};

/** Settings that the files of a generator do not hold, whatever the document says. */
export interface Loose {
  without: readonly StrictSetting[];
}

function compile(name: string, { without }: Loose): void {
  const loose = Object.fromEntries(without.map((setting) => [setting, false]));
  const config = {
    compilerOptions: { ...COMPILER, ...STRICT, ...loose },
    include: [`generated/${name}`, `drivers/${name}.ts`],
    exclude: [],
  };
  const file = `tsconfig.${name}.json`;
  writeFileSync(join(SHOP, file), JSON.stringify(config));
  run([process.execPath, join(ROOT, "node_modules/typescript/bin/tsc"), "-p", file]);
}

interface Options {
  name: string;
  packages: readonly string[];
  /** The program of the package and its arguments. */
  command: (base: string, folder: string) => readonly string[];
  without?: readonly StrictSetting[];
  inCi?: boolean;
  note?: string;
}

export function typescript({ name, packages, command, ...others }: Options): Generator {
  const { without = [], inCi = false, note = "" } = others;
  const folder = `generated/${name}`;
  return {
    name,
    packages,
    language: "TypeScript",
    document: "3.1",
    makes: "client",
    settings: ["strict", ...without.map((setting) => `no ${setting}`)].join(", "),
    inCi,
    note,
    command,
    generate(base) {
      mkdirSync(join(SHOP, folder), { recursive: true });
      const [program = "", ...args] = command(base, folder);
      run([newNode(), `node_modules/.bin/${program}`, ...args], { BASE: base });
    },
    compile: () => compile(name, { without }),
    run: (base, namespace) =>
      run([process.execPath, "--import", "tsx", `drivers/${name}.ts`, base, namespace]),
  };
}
