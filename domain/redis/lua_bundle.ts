import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as uapi from "../isa/uapi.ts";
import * as records from "./records.ts";

/**
 * Bundles domain/lua into one library of Redis Functions. Redis offers no `redis.call` while it loads a
 * library, so the modules are made once, at the first call.
 */

const LUA = join(import.meta.dirname, "../lua");

/** How a command uses memory, which its function declares to Redis. */
export type CommandAccess = "grow" | "free" | "read";

export interface LuaBundle {
  /** bpf_<hash of the text>, so that two versions of the service use separate libraries. */
  name: string;
  functions: Record<CommandAccess, string>;
  /** The function that belongs to a master and not to a namespace. */
  masterFunction: string;
  /** The argument of FUNCTION LOAD. */
  library: string;
  /** The same text as a script, for a Redis that is too full to load a library. */
  script: string;
  commands: ReadonlySet<string>;
  /** Replaces `user_function:123` by `map/map.lua:12`. */
  locate(message: string): string;
}

interface Module {
  /** The path without its extension, as `use` takes it. */
  name: string;
  text: string;
}

function modules(): Module[] {
  const files = readdirSync(LUA, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".lua"))
    .sort();
  return files.map((file) => ({
    name: file.replace(/\.lua$/, "").replaceAll("\\", "/"),
    text: readFileSync(join(LUA, file), "utf8").trimEnd(),
  }));
}

function literal(value: unknown): string {
  if (typeof value === "number" || typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `{ ${value.map(literal).join(", ")} }`;
  const fields = Object.entries(value as object).map(([name, item]) => {
    const key = /^\d+$/.test(name) ? `[${name}]` : name;
    return `${key} = ${literal(item)}`;
  });
  return `{ ${fields.join(", ")} }`;
}

/** The constants that TypeScript and Lua share, as a Lua module. */
const shared = (): Module => ({ name: "uapi", text: `return ${literal({ ...uapi, ...records })}` });

const USE = /\buse\("([\w/]+)"\)/g;

/** Puts each module after those that it uses. @throws Error for a cycle or a missing module. */
function inOrder(all: readonly Module[]): Module[] {
  const byName = new Map(all.map((module) => [module.name, module]));
  const ordered = new Set<Module>();
  const add = (module: Module, users: readonly string[]) => {
    if (ordered.has(module)) return;
    const path = [...users, module.name];
    if (users.includes(module.name))
      throw new Error(`domain/lua: modules use each other in a cycle: ${path.join(" -> ")}`);
    for (const [, name = ""] of module.text.matchAll(USE)) {
      const used = byName.get(name);
      if (!used) throw new Error(`domain/lua: ${module.name} uses ${name}, which does not exist`);
      add(used, path);
    }
    ordered.add(module);
  };
  for (const module of all) add(module, []);
  return [...ordered];
}

const BEFORE = [
  "local current",
  "local made = {}",
  "local function use(name) return made[name] end",
  "local function make()",
];

/** KEYS and ARGV are globals of a script and the arguments of a function. */
const after = (functions: Record<CommandAccess, string>, master: string) => [
  "end",
  "local complete = false",
  "local function enter(keys, args, writes)",
  "if not complete then make() complete = true end",
  'return made["syscall"](keys, args, writes)',
  "end",
  "local function write(keys, args) return enter(keys, args, true) end",
  "local function read(keys, args) return enter(keys, args, false) end",
  "local function master(keys, args)",
  "if not complete then make() complete = true end",
  'return made["master/master"](keys, args)',
  "end",
  "if not redis.register_function then",
  "if #KEYS == 3 then return master(KEYS, ARGV) end",
  "return write(KEYS, ARGV)",
  "end",
  `redis.register_function("${functions.grow}", write)`,
  `redis.register_function{ function_name = "${functions.free}", callback = write,`,
  'flags = { "allow-oom" } }',
  `redis.register_function{ function_name = "${master}", callback = master,`,
  'flags = { "allow-oom" } }',
  `redis.register_function{ function_name = "${functions.read}", callback = read,`,
  'flags = { "no-writes" } }',
];

function locator(starts: readonly { name: string; line: number }[]) {
  return (message: string) =>
    message.replace(/user_(?:function|script):(\d+)/g, (_, line: string) => {
      const start = starts.findLast((s) => s.line < Number(line));
      return start ? `${start.name}.lua:${Number(line) - start.line}` : `library:${line}`;
    });
}

export function bundleLua(): LuaBundle {
  // The shebang takes the first line.
  const lines = ["", ...BEFORE];
  const commands = new Set<string>();
  const starts: { name: string; line: number }[] = [];
  for (const { name, text } of inOrder([shared(), ...modules()])) {
    lines.push(`made["${name}"] = (function()`);
    starts.push({ name, line: lines.length });
    lines.push(...text.split("\n"), "end)() or true");
    for (const [, command = ""] of text.matchAll(/^function (?:\w+\.)?sys\.(\w+)/gm)) {
      commands.add(command);
    }
  }
  const hash = createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
  const name = `bpf_${hash}`;
  const functions = { grow: `${name}_grow`, free: `${name}_free`, read: `${name}_read` };
  const masterFunction = `${name}_master`;
  const body = [...lines, ...after(functions, masterFunction)].join("\n");
  return {
    name,
    functions,
    masterFunction,
    library: `#!lua name=${name}${body}`,
    script: `#!lua flags=allow-oom${body}`,
    commands,
    locate: locator(starts),
  };
}

/** The bundle that this version of the service runs. */
export const bundle: LuaBundle = bundleLua();
