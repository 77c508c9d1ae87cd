import { resolve } from "node:path";
import { cleanEnv, makeExactValidator, type ReporterOptions } from "envalid";
import { SETTINGS, type Settings } from "../domain/settings.ts";
import { type AccessRules, accessRules } from "./access/access_rules.ts";
import { hostName } from "./access/hosts.ts";
import { ApiKeys } from "./api_keys.ts";

/** Settings come from environment variables, each with a default, and are checked at the start. */
export interface Config {
  host: string;
  port: number;
  /** Undefined: a private Redis in the data folder. */
  redisUrl: string | undefined;
  dataDir: string;
  workers: number;
  keys: ApiKeys | undefined;
  access: AccessRules;
  /** Undefined: one is made and kept in the data folder. */
  tokenSecret: string | undefined;
  logLevel: (typeof LEVELS)[number];
  /** Deadlines, and limits of programs. */
  settings: Settings;
  /** At a stop, ms from the moment that readyz fails until the port closes. */
  drain: number;
}

export const LEVELS = ["error", "info"] as const;
const REDIS_URL = /^(unix:\/\/\/|rediss?:\/\/|redis\+cluster:\/\/.|redis\+sentinel:\/\/[^/]+\/.)/;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;

const LOOPBACK_ONLY =
  "without API_KEYS_FILE the service listens on loopback only (127.0.0.1, localhost or ::1)";

const URL_FORMS =
  "redis://host:port, rediss://host:port, unix:///path, redis+sentinel://host:port/group or " +
  "redis+cluster://host:port";

type Environment = Record<string, string | undefined>;

function integer(low: number, high: number, fallback: number) {
  const validator = makeExactValidator<number>((text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= high) return value;
    throw new Error(`must be an integer from ${low} to ${high}`);
  });
  return validator({ default: fallback });
}

const text = makeExactValidator<string>((value) => value);

const logLevel = makeExactValidator<Config["logLevel"]>((value) => {
  const level = LEVELS.find((name) => name === value);
  if (level) return level;
  throw new Error(`must be one of ${LEVELS.join(", ")}`);
});

const redisUrl = makeExactValidator<string>((url) => {
  if (REDIS_URL.test(url)) return url;
  throw new Error(`must be ${URL_FORMS}`);
});

const secret = makeExactValidator<string>((value) => {
  if (value.length >= 32) return value;
  throw new Error(`must have at least 32 characters, got ${value.length}`);
});

const keysFile = makeExactValidator<ApiKeys>((file) => ApiKeys.read(file));

/** At most so much of a value is quoted. */
const MAX_QUOTED = 100;

/** Names hosts and passwords; only the hosts are shown. */
const withoutPassword = (url: string) => url.replace(/^.*@/s, "***@");

/** What was given, on one line. */
function quoted(name: string, value = ""): string {
  if (name === "TOKEN_SECRET") return "";
  const shown = (name === "REDIS_URL" ? withoutPassword(value) : value).slice(0, MAX_QUOTED);
  return `=${/^[!-~]*$/.test(shown) ? shown : JSON.stringify(shown)}`;
}

/** Texts between commas and blanks, each checked. */
function listOf(read: (text: string) => string | undefined, allowed: string) {
  const validator = makeExactValidator<string[]>((value) =>
    value.split(/[\s,]+/).flatMap((text) => {
      if (text === "") return [];
      const item = read(text);
      if (item !== undefined) return item;
      throw new Error(`must be ${allowed}, separated by commas; wrong: ${JSON.stringify(text)}`);
    }),
  );
  return validator({ default: [] });
}

/** An origin as browsers send it, or undefined; that of pages of extensions has another scheme than http. */
function originOf(text: string): string | undefined {
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/?#@\\*]+\/?$/i.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, host } = new URL(text);
  // Pages of files have the origin "null".
  return protocol === "file:" ? undefined : `${protocol}//${host}`;
}

/** A name without a port, or undefined. */
const nameOf = (text: string) => (/:\d*$/.test(text) ? undefined : hostName(text));

/** An address to listen on is a name, too; an empty list allows every name if there are API keys. */
function withOwnName(names: readonly string[], host: string): readonly string[] {
  const own = hostName(host.includes(":") ? `[${host}]` : host);
  return names.length > 0 && own !== undefined ? [...names, own] : names;
}

const VARIABLES = {
  HOST: text({ default: "127.0.0.1" }),
  PORT: integer(0, 65_535, 8080),
  REDIS_URL: redisUrl({ default: undefined }),
  DATA_DIR: text({ default: ".data" }),
  WORKERS: integer(1, 64, 1),
  ALLOWED_HOSTS: listOf(nameOf, "names or addresses without ports, like bpf.example or [::1]"),
  CORS_ORIGINS: listOf(originOf, "origins like https://example.org or http://localhost:3000"),
  API_KEYS_FILE: keysFile({ default: undefined }),
  TOKEN_SECRET: secret({ default: undefined }),
  LOG_LEVEL: logLevel({ default: "info" }),
  REDIS_DEADLINE_MS: integer(10, 60_000, SETTINGS.deadline),
  CPUS: integer(1, 64, SETTINGS.cpus),
  RUN_THREADS: integer(1, 64, SETTINGS.threads),
  RUN_LIMIT_MS: integer(10, 60_000, SETTINGS.runLimit),
  RUN_INSNS: integer(1000, 1e12, SETTINGS.budget),
  PROG_INSNS: integer(1, SETTINGS.insns, SETTINGS.insns),
  PROG_COMPLEXITY: integer(1, 1e9, SETTINGS.complexity),
  DRAIN_MS: integer(0, 60_000, 0),
};

/** Reads all variables first, so that one start shows every mistake. */
function checked(env: Environment) {
  // An empty variable is one that is not set.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const reporter = ({ errors }: ReporterOptions<typeof VARIABLES>): void => {
    const lines = Object.entries(errors).map(
      ([name, error]) => `${name}${quoted(name, given[name])}: ${error?.message}`,
    );
    const host = given.HOST;
    if (host !== undefined && !LOOPBACK.test(host) && given.API_KEYS_FILE === undefined) {
      lines.push(`HOST${quoted("HOST", host)}: ${LOOPBACK_ONLY}`);
    }
    if (lines.length > 0) throw new Error(lines.join("\n"));
  };
  return cleanEnv(given, VARIABLES, { reporter });
}

/** @throws Error with a line for each variable that is wrong: name, value, what it may be. */
export function readConfig(env: Environment): Config {
  const values = checked(env);
  return {
    host: values.HOST,
    port: values.PORT,
    redisUrl: values.REDIS_URL,
    dataDir: resolve(values.DATA_DIR),
    workers: values.WORKERS,
    keys: values.API_KEYS_FILE,
    access: accessRules(
      values.API_KEYS_FILE !== undefined,
      withOwnName(values.ALLOWED_HOSTS, values.HOST),
      values.CORS_ORIGINS,
    ),
    tokenSecret: values.TOKEN_SECRET,
    logLevel: values.LOG_LEVEL,
    settings: {
      deadline: values.REDIS_DEADLINE_MS,
      cpus: values.CPUS,
      threads: values.RUN_THREADS,
      runLimit: values.RUN_LIMIT_MS,
      budget: values.RUN_INSNS,
      insns: values.PROG_INSNS,
      complexity: values.PROG_COMPLEXITY,
    },
    drain: values.DRAIN_MS,
  };
}
