import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** domain/lua as one script: its text, where each command is, and whose line an error names. */

const LUA = join(import.meta.dirname, "lua");

export interface Image {
  text: string;
  /** Command name -> module, from the `function sys.name` lines. */
  modules: Map<string, string>;
  /** `user_script:123` -> `map.lua:12`. */
  locate(message: string): string;
}

/** What an element's lookup uses, in this order: found first. */
const HOT = ["syscall", "kernel", "clock", "session", "elem", "map", "fd_table", "file", "htab"];

function files(): string[] {
  const all = readdirSync(LUA).filter((name) => name.endsWith(".lua"));
  const rank = (file: string) =>
    (HOT.indexOf(basename(file, ".lua")) + HOT.length) % (HOT.length + 1);
  return all.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/**
 * Each file is run when first used, as `require` does it. Not even its function is made before: a
 * call uses ten files of fifty, and what Redis spends on a short call is mostly making functions.
 */
export function joinLua(): Image {
  const lines = [
    "", // where a script's flags go, so that both scripts count their lines alike
    "local loaded, run = {}, nil",
    "local function use(name)",
    "  local module = loaded[name]",
    "  if module == nil then module = run(name); loaded[name] = module end",
    "  return module",
    "end",
    "local function has(name) return loaded[name] end",
    "function run(name)",
  ];
  const modules = new Map<string, string>();
  const starts: { file: string; line: number }[] = [];
  for (const file of files()) {
    const module = file.replace(/\.lua$/, "");
    const text = readFileSync(join(LUA, file), "utf8").trimEnd();
    lines.push(`if name == "${module}" then return (function()`);
    starts.push({ file, line: lines.length });
    lines.push(...text.split("\n"), "end)() end");
    for (const [, name = ""] of text.matchAll(/^function (?:\w+\.)?sys\.(\w+)/gm)) {
      modules.set(name, module);
    }
  }
  lines.push("end", 'return use("syscall")');
  const locate = (message: string) =>
    message.replace(/user_script:(\d+)/g, (_, line: string) => {
      const start = starts.findLast((s) => s.line < Number(line));
      return start ? `${start.file}:${Number(line) - start.line}` : `script:${line}`;
    });
  return { text: lines.join("\n"), modules, locate };
}
