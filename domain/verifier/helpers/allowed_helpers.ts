import { HELPER_ROWS } from "../../isa/helpers/index.ts";
import { BASE, type ProgType } from "../../isa/helpers/prog_types.ts";
import type { VerifierOptions } from "../verdict.ts";

/**
 * Which helpers a program may call: by its type (get_func_proto of each type in Linux 6.18, for a
 * loader with all capabilities), and by its licence.
 */

/** By program type, the numbers of the helpers that it may call. */
const ALLOWED: ReadonlyMap<string, ReadonlySet<number>> = new Map(
  BASE.map((type) => [
    type,
    new Set(HELPER_ROWS.filter((row) => row.in.includes(type)).map(({ id }) => id)),
  ]),
);

/** Never of a program type whose helpers are not known. */
export function isRefused(helper: number, options: VerifierOptions): boolean {
  const { progType, expectedAttachType: attach, perfmon = true } = options;
  const row = HELPER_ROWS[helper];
  if (!perfmon && row?.perfmon === true) return true;
  const allowed = progType === undefined ? undefined : ALLOWED.get(progType);
  if (allowed === undefined) return false;
  if (!allowed.has(helper)) return true;
  const attachTypes = row?.attachTypes?.[progType as ProgType];
  return attach !== undefined && attachTypes?.includes(attach) === false;
}

export const isGplOnly = (helper: number): boolean => HELPER_ROWS[helper]?.gplOnly === true;
export const mightSleep = (helper: number): boolean => HELPER_ROWS[helper]?.mightSleep === true;
