import { Unavailable } from "../errno.ts";
import type { Master } from "./connection.ts";
import type { Masters } from "./masters.ts";

/** Refuses a Redis that cannot keep what the service stores, and says which setting is wrong. */

const LEAST_VERSION = 7;
const POLICY = "noeviction";
/** Settings may change while the service runs. */
const CHECK_MS = 5000;

/** What is wrong with a server: the service does not work with it, or works with less than it promises. */
export interface ServerReport {
  refusals: string[];
  warnings: string[];
}

/** The fields of INFO. */
function fieldsOf(info: string): Map<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => /^\w+:/.test(line));
  return new Map(lines.map((line) => [line.replace(/:.*/s, ""), line.replace(/^\w+:/, "")]));
}

function refusalsOf(fields: Map<string, string>): string[] {
  const version = fields.get("redis_version") ?? "";
  const policy = fields.get("maxmemory_policy");
  const refusals: string[] = [];
  if (version !== "" && Number.parseInt(version, 10) < LEAST_VERSION) {
    refusals.push(`its version is ${version}, it must be ${LEAST_VERSION}.0 or newer`);
  }
  if (policy !== undefined && policy !== POLICY) {
    const why = "because each other policy deletes parts of maps and sessions";
    refusals.push(`its maxmemory-policy is ${policy}, it must be ${POLICY}, ${why}`);
  }
  if (fields.get("role") === "slave") {
    const master = `${fields.get("master_host")}:${fields.get("master_port")}`;
    refusals.push(`it is a replica of ${master}, REDIS_URL must lead to a master`);
  }
  return refusals;
}

/** @param save the setting, undefined if the server does not tell it. */
function warningsOf(fields: Map<string, string>, save: string | undefined): string[] {
  if (fields.get("aof_enabled") !== "0" || (save ?? "") !== "") return [];
  const known = save === undefined ? "" : " and it saves no snapshots";
  return [`its appendonly is no${known}: its restart loses every map and session; set it to yes`];
}

/** @param name of the server. @param info the reply to INFO. */
export function reportOf(name: string, info: string, save?: string): ServerReport {
  const fields = fieldsOf(info);
  const about = (what: string) => `Redis at ${name}: ${what}`;
  return {
    refusals: refusalsOf(fields).map(about),
    warnings: warningsOf(fields, save).map(about),
  };
}

function nameOf({ options: { path, host, port } }: Master): string {
  return path ?? `${host}:${port}`;
}

/** Hosts of Redis often allow no CONFIG. */
async function readSave(master: Master): Promise<string | undefined> {
  try {
    const [, save] = (await master.config("GET", "save")) as string[];
    return save;
  } catch {
    return undefined;
  }
}

async function inspect(master: Master): Promise<ServerReport> {
  try {
    return reportOf(nameOf(master), await master.info(), await readSave(master));
  } catch (error) {
    const { message } = error as Error;
    // A server that is away has no settings; one that denies INFO may have the right ones.
    if (!/^NOPERM\b/.test(message)) return { refusals: [], warnings: [] };
    const warning = `Redis at ${nameOf(master)}: its settings cannot be checked: ${message}`;
    return { refusals: [], warnings: [warning] };
  }
}

export class ServerChecks {
  /** ms for which a check counts. */
  period = CHECK_MS;
  readonly #masters: Masters;
  #report: ServerReport = { refusals: [], warnings: [] };
  #checkedAt = Number.NEGATIVE_INFINITY;
  #checking: Promise<void> | undefined;

  constructor(masters: Masters) {
    this.#masters = masters;
  }

  get warnings(): readonly string[] {
    return this.#report.warnings;
  }

  /** Looks at every master that can be reached, if the last check is old. @throws Unavailable */
  async check(): Promise<void> {
    if (performance.now() - this.#checkedAt >= this.period) {
      this.#checking ??= this.#inspectAll().finally(() => {
        this.#checking = undefined;
      });
      await this.#checking;
    }
    const [first] = this.#report.refusals;
    if (first !== undefined) throw new Unavailable(first);
  }

  async #inspectAll(): Promise<void> {
    const reports = await Promise.all((await this.#masters.all()).map(inspect));
    this.#report = {
      refusals: reports.flatMap(({ refusals }) => refusals),
      warnings: reports.flatMap(({ warnings }) => warnings),
    };
    this.#checkedAt = performance.now();
  }
}
