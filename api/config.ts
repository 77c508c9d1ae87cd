import { randomBytes } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SETTINGS, type Settings } from "../domain/bpf.ts";
import { ApiKeys } from "./api_keys.ts";

/** Settings: environment variables, each with a default, checked at start. */
export interface Config {
  host: string;
  port: number;
  /** Undefined: a private Redis in the data folder. */
  redisUrl: string | undefined;
  dataDir: string;
  workers: number;
  keys: ApiKeys | undefined;
  /** Undefined: made and kept in the data folder. */
  tokenSecret: string | undefined;
  logLevel: (typeof LEVELS)[number];
  /** Of the domain: deadlines, and limits of programs. */
  settings: Settings;
  /** ms between readyz failing and the port closing at a stop. */
  drain: number;
}

export const LEVELS = ["error", "info"] as const;
const REDIS_URL = /^(unix:\/\/\/|rediss?:\/\/|redis\+cluster:\/\/.|redis\+sentinel:\/\/[^/]+\/.)/;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;

type Environment = Record<string, string | undefined>;

function whole(
  env: Environment,
  name: string,
  fallback: number,
  low: number,
  high: number,
): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high) {
    throw new Error(`${name}=${text}: a whole number from ${low} to ${high} is wanted`);
  }
  return value;
}

function oneOf<T extends string>(
  env: Environment,
  name: string,
  values: readonly T[],
  fallback: T,
): T {
  const text = env[name] || fallback;
  const found = values.find((value) => value === text);
  if (!found) throw new Error(`${name}=${text}: one of ${values.join(", ")} is wanted`);
  return found;
}

function readKeys(file: string): ApiKeys {
  try {
    return ApiKeys.read(file);
  } catch (error) {
    throw new Error(`API_KEYS_FILE: ${(error as Error).message}`);
  }
}

/** @throws Error that names the variable and what it may be. */
export function readConfig(env: Environment): Config {
  const file = env.API_KEYS_FILE;
  const config: Config = {
    host: env.HOST || "127.0.0.1",
    port: whole(env, "PORT", 8080, 0, 65535),
    redisUrl: env.REDIS_URL || undefined,
    dataDir: resolve(env.DATA_DIR || ".data"),
    workers: whole(env, "WORKERS", 1, 1, 64),
    keys: file ? readKeys(file) : undefined,
    tokenSecret: env.TOKEN_SECRET || undefined,
    logLevel: oneOf(env, "LOG_LEVEL", LEVELS, "info"),
    settings: {
      deadline: whole(env, "REDIS_DEADLINE_MS", SETTINGS.deadline, 10, 60_000),
      cpus: whole(env, "CPUS", SETTINGS.cpus, 1, 64),
      threads: whole(env, "RUN_THREADS", SETTINGS.threads, 1, 64),
      runLimit: whole(env, "RUN_LIMIT_MS", SETTINGS.runLimit, 10, 60_000),
      budget: whole(env, "RUN_INSNS", SETTINGS.budget, 1000, 1e12),
      insns: whole(env, "PROG_INSNS", SETTINGS.insns, 1, SETTINGS.insns),
      complexity: whole(env, "PROG_COMPLEXITY", SETTINGS.complexity, 1, 1e9),
    },
    drain: whole(env, "DRAIN_MS", 0, 0, 60_000),
  };
  if (config.redisUrl !== undefined && !REDIS_URL.test(config.redisUrl)) {
    const forms = "redis://, rediss://, unix:///path, redis+sentinel://host:port/group";
    throw new Error(`REDIS_URL: ${forms} or redis+cluster://host:port is wanted`);
  }
  if (!config.keys && !LOOPBACK.test(config.host)) {
    throw new Error(
      `HOST=${config.host}: without API_KEYS_FILE the service listens on loopback only`,
    );
  }
  if (config.tokenSecret !== undefined && config.tokenSecret.length < 32) {
    throw new Error("TOKEN_SECRET: at least 32 characters are wanted");
  }
  return config;
}

/** Whole or not at all, and never over another's. */
function makeSecret(file: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, randomBytes(32).toString("base64"), { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft);
  }
}

/** The key of all tokens: from the environment, or made once and kept, readable by the owner. */
export function tokenSecret(config: Config): Buffer {
  if (config.tokenSecret !== undefined) return Buffer.from(config.tokenSecret);
  const file = join(config.dataDir, "token-secret");
  mkdirSync(config.dataDir, { recursive: true });
  if (!existsSync(file)) makeSecret(file);
  const secret = Buffer.from(readFileSync(file, "utf8"));
  if (secret.length < 32) {
    throw new Error(`${file} is too short: remove it (which ends all tokens) or set TOKEN_SECRET`);
  }
  return secret;
}
