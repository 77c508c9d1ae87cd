import type { Generator } from "./generator.ts";
import { checkSyntax, checkWithMypy, python } from "./python.ts";
import { typescript } from "./typescript.ts";
import { newNode } from "./workshop.ts";

/** The generators of clients that the document is tried with. */

/** Its runtime assigns undefined to optional properties. */
const assignsUndefined = ["exactOptionalPropertyTypes"] as const;

/** The schemas that the program with the models of quicktype needs. */
const MODELS = [
  ...["SessionInput", "SessionCreated", "MapInput", "MapCreated", "ElementInput", "MapElement"],
  ...["PinInput", "FsNode", "FdOpenByPath", "FdOpened", "BatchResult", "Problem", "Errno"],
  ...["ProgInput", "ProgLoaded", "RunResult", "RecordsInput"],
];

const JAR = "node_modules/@openapitools/openapi-generator-cli/bin/openapi-generator.jar";

export const GENERATORS: readonly Generator[] = [
  typescript({
    name: "openapi-fetch",
    packages: ["openapi-typescript", "openapi-fetch"],
    command: (base, folder) => [
      ...["openapi-typescript", `${base}/openapi.json`, "-o", `${folder}/schema.ts`],
    ],
    inCi: true,
    note: "bytes are sent by a bodySerializer",
  }),
  typescript({
    name: "hey-api",
    packages: ["@hey-api/openapi-ts"],
    command: (base, folder) => ["openapi-ts", "-i", `${base}/openapi.json`, "-o", folder],
    without: assignsUndefined,
    inCi: true,
    note: "",
  }),
  typescript({
    name: "orval",
    packages: ["orval"],
    command: () => ["orval", "--config", "drivers/orval.config.mjs"],
    note: "events are read with fetch at its address",
  }),
  typescript({
    name: "swagger-typescript-api",
    packages: ["swagger-typescript-api"],
    command: (base, folder) => [
      ...["swagger-typescript-api", "generate", "-p", `${base}/openapi.json`],
      ...["-o", folder, "-n", "api.ts", "--generate-union-enums"],
    ],
    note: "bytes are sent by a customFetch",
  }),
  typescript({
    name: "oazapfts",
    packages: ["oazapfts", "@oazapfts/runtime"],
    command: (base, folder) => ["oazapfts", `${base}/openapi.json`, `${folder}/bpf.ts`],
    without: assignsUndefined,
    note: "bytes and events are read from the response of its fetch",
  }),
  typescript({
    name: "kubb",
    packages: ["@kubb/cli", "@kubb/plugin-client"],
    command: () => ["kubb", "generate", "--config", "drivers/kubb.config.mjs"],
    without: assignsUndefined,
    note: "bytes and events need a client of one's own",
  }),
  python({
    name: "openapi-generator",
    packages: ["@openapitools/openapi-generator-cli"],
    document: "3.0",
    makes: "client",
    settings: "py_compile",
    note: "reads unions of text and objects, and events, from the response itself",
    needs: [
      "default-jre-headless",
      "python3-certifi",
      "python3-dateutil",
      "python3-six",
      "python3-urllib3",
    ],
    driver: "drivers/openapi_generator.py",
    command: (base, folder) => [
      ...["openapi-generator-cli", "generate", "-i", `${base}/openapi-3.0.json`, "-g", "python"],
      ...["-o", folder, "--package-name", "bpf"],
    ],
    start: ([, ...args]) => ["java", "-jar", JAR, ...args],
    check: checkSyntax,
  }),
  python({
    name: "quicktype",
    packages: ["quicktype"],
    document: "3.1",
    makes: "models",
    settings: "mypy --strict, but untyped functions allowed",
    note: "requests are written by hand",
    needs: ["mypy", "python3"],
    driver: "drivers/quicktype.py",
    command: (_base, folder) => [
      ...["quicktype", "-s", "schema", "-l", "python", "--python-version", "3.7"],
      ...["-o", `${folder}/bpf.py`],
      ...MODELS.map((name) => `openapi.json#/components/schemas/${name}`),
    ],
    start: ([program, ...args]) => [newNode(), `node_modules/.bin/${program}`, ...args],
    check: checkWithMypy,
  }),
];
