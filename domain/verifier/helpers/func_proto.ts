import type { HelperArg, HelperReturn } from "../../isa/helpers/helper_row.ts";
import { HELPER_ROWS } from "../../isa/helpers/index.ts";

/** What helpers take and return (struct bpf_func_proto), from the table of helpers. */

export interface Proto {
  readonly args: readonly HelperArg[];
  readonly returns: HelperReturn;
}

const UNKNOWN: Proto = { args: [], returns: "unmodelled" };

/** The prototype of a helper, which for some is another one in some program types. */
export function protoOf(helper: number, progType: string | undefined): Proto {
  const row = HELPER_ROWS[helper];
  if (row === undefined) return UNKNOWN;
  const { variant, returns } = row;
  const isVariant = variant?.in.some((type) => type === progType) === true;
  return isVariant ? { args: variant.args, returns } : row;
}

export const readsPacket = (helper: number): boolean => HELPER_ROWS[helper]?.readsPacket === true;
export const changesPacket = (helper: number): boolean =>
  HELPER_ROWS[helper]?.changesPacket === true;
