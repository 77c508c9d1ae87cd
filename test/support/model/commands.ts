import fc from "fast-check";
import { actor, type ModelArgs, type Play } from "./choice.ts";
import { mapCalls } from "./map_calls.ts";
import type { ModelRun } from "./model_run.ts";
import { processCalls } from "./process_calls.ts";
import { symlink, treeCalls } from "./tree_calls.ts";

/** Defines the commands that fast-check generates, runs and shrinks. */

const SIMPLE = ["/a", "/a", "/b", "/d", "/d", "/d/a", "/d/a", "/d/e", "/d/e/a", "/l", "/l/a"];
const ODD = [
  ...["/d/../a", "/d/./b", "/d/e/..", "/d/.", "/..", "/.x", "/d/x.y", "/x.y/a", "/a/", "/d/"],
  ...["/l/", "/", "", "/a/b", "/o/a", "a", "//d//a", "/l/../b", "/d/l/o/a", `/${"n".repeat(256)}`],
];
const TARGETS = ["/d", "d", "/a", "l", "o", "/o/", "/l/a", "..", "x.y", "/d/e"];

const path = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...SIMPLE) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD) },
);
const target = fc.constantFrom(...TARGETS);
/** Most calls use the flags 0. */
const flags = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.nat(7) },
);
/** Most choices select an existing object; a negative one selects none that fits. */
const choice = fc.oneof(
  { weight: 14, arbitrary: fc.nat(7) },
  { weight: 1, arbitrary: fc.constantFrom(-1, -2, -3) },
);

function arguments_(to: fc.Arbitrary<string>): fc.Arbitrary<ModelArgs> {
  const small = fc.nat(3);
  const [fd, other, id, who] = [choice, choice, choice, choice];
  return fc.record({ who, fd, other, id, key: small, flags, path, to, bits: small });
}

class ModelStep implements fc.AsyncCommand<ModelRun, ModelRun> {
  readonly #name: string;
  readonly #args: ModelArgs;
  readonly #play: Play;

  constructor(name: string, args: ModelArgs, play: Play) {
    this.#name = name;
    this.#args = args;
    this.#play = play;
  }

  check(): boolean {
    return true;
  }

  async run(world: ModelRun): Promise<void> {
    const process = actor(world, this.#args.who);
    const idle = process.fds.size === 0 && this.#args.who >= 0 && this.#args.bits > 0;
    const busy = idle ? world.model.processes.find(({ fds }) => fds.size > 0) : undefined;
    await this.#play(world, busy ?? process, this.#args);
  }

  toString(): string {
    return `${this.#name}(${JSON.stringify(this.#args)})`;
  }
}

function steps(name: string, weight: number, play: Play, to: fc.Arbitrary<string>) {
  const arbitrary = arguments_(to).map((args) => new ModelStep(name, args, play));
  return Array.from({ length: weight }, () => arbitrary);
}

/** Generates runs of at most `maxCommands`; the weight of a command sets its frequency. */
export function runs(maxCommands: number, replayPath: string | undefined) {
  const all = Object.entries({ ...mapCalls, ...processCalls, ...treeCalls }).flatMap(
    ([name, [weight, play]]) => steps(name, weight, play, path),
  );
  const more = steps("symlink", 4, symlink, target);
  const options = { maxCommands, size: "max" as const };
  return fc.commands([...all, ...more], replayPath ? { ...options, replayPath } : options);
}
