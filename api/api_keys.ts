import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Errno } from "../domain/errno.ts";
import { HttpError } from "./errors/error_to_problem.ts";

/**
 * API keys: who can create sessions, in which namespaces and with which credentials at most. Without
 * keys everybody can, and the service listens on loopback only.
 */
export interface ApiKey {
  id: string;
  /** SHA-256 of the key, hex. */
  sha256: string;
  /** Names, or prefixes that end in "*". */
  namespaces: string[];
  /** A key of uid 0 allows every uid and gid, another key only its own. */
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

  /** @throws Error that names the file and the mistake. */
  static read(file: string): ApiKeys {
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    // A start without a keys file does not wait for Ajv.
    const { Ajv } = require("ajv") as typeof import("ajv");
    const ajv = new Ajv();
    if (!ajv.validate(SCHEMA, content)) throw new Error(`${file}: ${ajv.errorsText()}`);
    return new ApiKeys((content as { keys: ApiKey[] }).keys);
  }

  /** Looks the key up by its hash, so that the time taken reveals nothing about the key. @throws 401 */
  find(key: string | undefined): ApiKey {
    const hash = createHash("sha256")
      .update(key ?? "")
      .digest("hex");
    const found = key === undefined ? undefined : this.#keys.get(hash);
    if (!found) throw new HttpError(401, "unauthorized", "X-API-Key is missing or unknown");
    return found;
  }
}

const matches = (pattern: string, namespace: string): boolean =>
  pattern.endsWith("*") ? namespace.startsWith(pattern.slice(0, -1)) : namespace === pattern;

/** @throws 403 for a namespace, EPERM for credentials that the key does not allow. */
export function checkRights(key: ApiKey, requested: RequestedRights): void {
  const { namespace, uid, gid, groups } = requested;
  if (!key.namespaces.some((pattern) => matches(pattern, namespace))) {
    const detail = `this API key does not allow namespace ${namespace}`;
    throw new HttpError(403, "forbidden", `${detail}; allowed: ${key.namespaces.join(", ")}`);
  }
  const isOwn = uid === key.uid && gid === key.gid && groups.every((group) => group === key.gid);
  if (key.uid !== 0 && !isOwn) {
    const given = `uid ${uid}, gid ${gid}, groups [${groups.join(", ")}]`;
    throw new Errno(
      "EPERM",
      `this API key allows only uid ${key.uid}, gid ${key.gid}, got ${given}`,
    );
  }
  const { capabilities } = key;
  if (capabilities === "all") return;
  const excess =
    requested.capabilities === "*"
      ? ["all capabilities"]
      : requested.capabilities.filter((name) => !capabilities.includes(name));
  if (excess.length > 0)
    throw new Errno("EPERM", `this API key does not allow ${excess.join(", ")}`);
}
