import type { Difference } from "./compare.ts";
import type { Plan } from "./generate.ts";
import { NOTHING, smaller } from "./piece.ts";

/** Shrinks a case while it still shows the same disagreement. */

const ROUNDS = 400;

/** Yields each plan that has one thing less. */
function* lesser(plan: Plan): Generator<Plan> {
  const { trees, repeat, ctx, world, data, ...rest } = plan;
  if (trees.length > 1) yield { ...plan, trees: trees.slice(0, -1) };
  for (let i = 1; i < trees.length; i++) {
    if (trees[i] !== NOTHING) yield { ...plan, trees: trees.with(i, NOTHING) };
  }
  if (ctx) yield { ...rest, trees, repeat, world, data };
  if (repeat > 1) yield { ...plan, repeat: 1 };
  for (const [i, tree] of trees.entries()) {
    for (const less of smaller(tree)) yield { ...plan, trees: trees.with(i, less) };
  }
  for (const [i, map] of world.entries()) {
    if (map.elements.length === 0) continue;
    yield { ...plan, world: world.with(i, { ...map, elements: map.elements.slice(1) }) };
  }
}

export type Try = (plan: Plan) => Promise<Difference | undefined>;

async function step(plan: Plan, kind: string, attempt: Try): Promise<Plan | undefined> {
  for (const less of lesser(plan)) {
    if ((await attempt(less))?.kind === kind) return less;
  }
  return undefined;
}

/** @param attempt returns the disagreement of kernel and service in a case. */
export async function shrink(plan: Plan, kind: string, attempt: Try): Promise<Plan> {
  let found = plan;
  for (let round = 0; round < ROUNDS; round++) {
    const less = await step(found, kind, attempt);
    if (!less) break;
    found = less;
  }
  return found;
}
