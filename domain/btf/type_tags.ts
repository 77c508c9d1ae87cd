import { KIND } from "../schema/btf_blob.ts";
import type { BtfEnv } from "./btf_env.ts";
import { isModifier } from "./resolve_stack.ts";
import { VOID } from "./type_table.ts";

/** Type tags stand directly behind a pointer, before other modifiers (btf_check_type_tags()). */

const MAX_CHAIN = 32;

/** @param checked chains of types up to this id are known to be right. @throws BtfRefused */
function checkChain(env: BtfEnv, first: number, checked: number): void {
  let id = first;
  let type = env.types.type(id) ?? VOID;
  let areTags = type.kind === KIND.TYPE_TAG;
  for (let left = MAX_CHAIN; isModifier(type); left--) {
    if (left === 0) env.refuse("Max chain length or cycle detected", "ELOOP");
    if (type.kind !== KIND.TYPE_TAG) areTags = false;
    else if (!areTags) env.refuse("Type tags don't precede modifiers");
    if (id <= checked) return;
    id = type.size;
    type = env.types.type(id) ?? VOID;
  }
}

/** @throws BtfRefused */
export function checkTypeTags(env: BtfEnv): void {
  let checked = 0;
  for (let id = 1; id < env.types.count; id++) {
    if (!isModifier(env.types.type(id) ?? VOID)) continue;
    checkChain(env, id, checked);
    checked = id;
  }
}
