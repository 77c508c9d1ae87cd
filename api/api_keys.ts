import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Errno } from "../domain/errno.ts";
import { HttpError } from "./errors/errors.ts";

/**
 * API keys: who may create sessions, in which namespaces and with what credentials at most. Without
 * keys everybody may, and the service listens on loopback only.
 */
export interface ApiKey {
  id: string;
  /** SHA-256 of the key, hex. */
  sha256: string;
  /** Names, or prefixes that end in "*". */
  namespaces: string[];
  /** 0 may ask for any uid and gid; another only for its own. */
  uid: number;
  gid: number;
  capabilities: string[] | "all";
}

const SCHEMA = {
  type: "object",
  required: ["keys"],
  properties: {
    keys: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["id", "sha256", "namespaces", "uid", "gid", "capabilities"],
        properties: {
          id: { type: "string", minLength: 1 },
          sha256: { type: "string", pattern: "^[0-9a-f]{64}$" },
          namespaces: { type: "array", minItems: 1, items: { type: "string" } },
          uid: { type: "integer", minimum: 0 },
          gid: { type: "integer", minimum: 0 },
          capabilities: {
            anyOf: [{ const: "all" }, { type: "array", items: { type: "string" } }],
          },
        },
      },
    },
  },
};

const require = createRequire(import.meta.url);

export interface RequestedRights {
  namespace: string;
  uid: number;
  gid: number;
  groups: number[];
  capabilities: string[] | "*";
}

export class ApiKeys {
  readonly #keys = new Map<string, ApiKey>();

  constructor(keys: readonly ApiKey[]) {
    for (const key of keys) this.#keys.set(key.sha256, key);
  }

  /** @throws Error that says what is wrong with the file. */
  static read(file: string): ApiKeys {
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    // A start without a keys file does not wait for Ajv.
    const { Ajv } = require("ajv") as typeof import("ajv");
    const ajv = new Ajv();
    if (!ajv.validate(SCHEMA, content)) throw new Error(`${file}: ${ajv.errorsText()}`);
    return new ApiKeys((content as { keys: ApiKey[] }).keys);
  }

  /** Found by its hash, so that time tells nothing of the key. @throws 401 */
  find(key: string | undefined): ApiKey {
    const hash = createHash("sha256")
      .update(key ?? "")
      .digest("hex");
    const found = key === undefined ? undefined : this.#keys.get(hash);
    if (!found) throw new HttpError(401, "unauthorized", "X-API-Key is missing or unknown");
    return found;
  }

  get any(): boolean {
    return this.#keys.size > 0;
  }
}

/** @throws 403 for a foreign namespace, EPERM for credentials beyond the key's. */
export function bound(key: ApiKey, wanted: RequestedRights): void {
  const named = key.namespaces.some((name) =>
    name.endsWith("*") ? wanted.namespace.startsWith(name.slice(0, -1)) : wanted.namespace === name,
  );
  if (!named) throw new HttpError(403, "forbidden", "not a namespace of this API key");
  const own = wanted.uid === key.uid && wanted.gid === key.gid;
  if (key.uid !== 0 && (!own || wanted.groups.some((group) => group !== key.gid))) {
    throw new Errno("EPERM", `this API key is for uid ${key.uid} and gid ${key.gid}`);
  }
  if (key.capabilities === "all") return;
  const { capabilities } = key;
  const beyond =
    wanted.capabilities === "*"
      ? ["all"]
      : wanted.capabilities.filter((c) => !capabilities.includes(c));
  if (beyond.length > 0) {
    throw new Errno("EPERM", `capabilities beyond this API key's: ${beyond.join(", ")}`);
  }
}
