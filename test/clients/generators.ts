import type { Generator } from "./generator.ts";
import { typescript } from "./typescript.ts";

/** The generators of clients that the document is tried with. */

/** Its runtime assigns undefined to optional properties. */
const assignsUndefined = ["exactOptionalPropertyTypes"] as const;

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
];
