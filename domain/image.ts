import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** domain/lua as one script: its text, where each command is, and whose line an error names. */

const LUA = join(import.meta.dirname, "lua");

export interface Image {
  text: string;
  /** Command name -> module, from the `function sys.name` lines. */
  modules: Map<string, string>;
  /** `user_script:123` -> `map.lua:12`. */
  locate(message: string): string;
}

/** Each file becomes a function that runs when first used, as `require` does it. */
export function joinLua(): Image {
  const lines = [
    "", // where a script's flags go, so that both scripts count their lines alike
    "local modules, loaded = {}, {}",
    "local function use(name)",
    "  local module = loaded[name]",
    "  if module == nil then module = modules[name](); loaded[name] = module end",
    "  return module",
    "end",
    "local function has(name) return loaded[name] end",
  ];
  const modules = new Map<string, string>();
  const starts: { file: string; line: number }[] = [];
  for (const file of readdirSync(LUA)
    .filter((name) => name.endsWith(".lua"))
    .sort()) {
    const module = file.replace(/\.lua$/, "");
    const text = readFileSync(join(LUA, file), "utf8").trimEnd();
    lines.push(`function modules.${module}()`);
    starts.push({ file, line: lines.length });
    lines.push(...text.split("\n"), "end");
    for (const [, name = ""] of text.matchAll(/^function (?:\w+\.)?sys\.(\w+)/gm)) {
      modules.set(name, module);
    }
  }
  lines.push('return use("syscall")');
  const locate = (message: string) =>
    message.replace(/user_script:(\d+)/g, (_, line: string) => {
      const start = starts.findLast((s) => s.line < Number(line));
      return start ? `${start.file}:${Number(line) - start.line}` : `script:${line}`;
    });
  return { text: lines.join("\n"), modules, locate };
}
