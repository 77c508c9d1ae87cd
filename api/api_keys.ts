import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { CAPABILITIES, capabilityName } from "../domain/capabilities.ts";
import { didYouMean } from "../domain/did_you_mean.ts";
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
  /** Names like CAP_BPF. */
  capabilities: string[] | "all";
  /** May list and delete its namespaces; false if absent. */
  admin?: boolean;
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
          admin: { type: "boolean" },
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

/** @throws Error that names the key and the capability. */
function withKnownCapabilities(key: ApiKey): ApiKey {
  if (key.capabilities === "all") return key;
  const capabilities = key.capabilities.map((text) => {
    const name = capabilityName(text);
    if (CAPABILITIES.includes(name)) return name;
    const isAll = text.toLowerCase() === "all";
    const hint = isAll ? ': write "capabilities": "all"' : didYouMean(name, CAPABILITIES);
    throw new Error(`key ${key.id}: unknown capability ${text}${hint}`);
  });
  return { ...key, capabilities };
}

/** @throws Error that names the id. */
function checkIds(keys: readonly ApiKey[]): void {
  const ids = keys.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw new Error(`two keys have the id ${twice}`);
}

/** @throws Error that says what is wrong. */
function parseKeys(text: string): ApiKey[] {
  const content: unknown = JSON.parse(text);
  // A start without a keys file does not wait for Ajv.
  const { Ajv } = require("ajv") as typeof import("ajv");
  const ajv = new Ajv();
  if (!ajv.validate(SCHEMA, content)) throw new Error(ajv.errorsText(ajv.errors, { dataVar: "" }));
  const { keys } = content as { keys: ApiKey[] };
  checkIds(keys);
  return keys.map(withKnownCapabilities);
}

export class ApiKeys {
  readonly #keys = new Map<string, ApiKey>();

  constructor(keys: readonly ApiKey[]) {
    for (const key of keys) this.#keys.set(key.sha256, key);
  }

  /** @throws Error of one line that names the file and the mistake. */
  static read(file: string): ApiKeys {
    const text = readFileSync(file, "utf8");
    try {
      return new ApiKeys(parseKeys(text));
    } catch (error) {
      // The message of JSON.parse quotes lines of the file.
      throw new Error(`${file}: ${(error as Error).message.replaceAll(/\s+/g, " ")}`);
    }
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

/** Makes the names of idempotency records unique where there is no session. */
export const recordOwner = (key: ApiKey | undefined): string =>
  `key:${encodeURIComponent(key?.id ?? "")}`;

/** @throws 403 */
function checkNamespace(key: ApiKey, namespace: string): void {
  if (key.namespaces.some((pattern) => matches(pattern, namespace))) return;
  const detail = `this API key does not allow namespace ${namespace}`;
  throw new HttpError(403, "forbidden", `${detail}; allowed: ${key.namespaces.join(", ")}`);
}

/** @param namespace undefined for all that the key covers. @throws 403 */
export function checkAdmin(key: ApiKey, namespace: string | undefined): void {
  if (!key.admin) {
    const detail = "this API key has no right to namespaces as a whole";
    throw new HttpError(403, "forbidden", `${detail}: that needs "admin": true in the keys file`);
  }
  if (namespace !== undefined) checkNamespace(key, namespace);
}

/** @throws 403 for a namespace, EPERM for credentials that the key does not allow. */
export function checkRights(key: ApiKey, requested: RequestedRights): void {
  const { namespace, uid, gid, groups } = requested;
  checkNamespace(key, namespace);
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
