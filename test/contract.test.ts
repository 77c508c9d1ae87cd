import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { expect, it } from "vitest";
import { createService } from "../api/app.ts";
import { STATUS } from "../api/errors/problem.ts";
import { createRouter } from "../api/fast_path/plain_routes.ts";
import { handlers } from "../api/handlers/index.ts";
import { document, type Operation, routes, TEXT } from "../api/openapi/openapi.ts";
import { createSchemas } from "../api/openapi/schemas.ts";
import { ERRNO } from "../domain/errno.ts";
import { commandNames } from "../domain/redis/script.ts";
import { Client, testService } from "./support/service.ts";

/** Lists that stand in two places agree: operations, handlers, commands, errnos, routes, imports. */

const ROOT = join(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const sorted = (values: Iterable<string>) => [...new Set(values)].sort();
const camel = (name: string) => name.replaceAll(/_([a-z])/g, (_, c: string) => c.toUpperCase());
const snake = (name: string) => name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const operations = routes.map(({ operation }) => operation);

/** BPF_MAP_UPDATE_ELEM is map_update_elem in Lua; other system calls have the same name in both. */
const lua = (command: string) => command.replace(/^BPF_/, "").toLowerCase();
const commandsOf = (operation: Operation) => operation["x-bpf-command"].map(lua);

const service = await testService();
const context = { kernel: service.kernel, keys: undefined, ready: async () => {} };
const start = () => createService(context, { onFault: () => {} });

// One name, five places

/**
 * Commands without an operation: those that release, the lookout's, and the stand-in for a command that a full Redis
 * rejects.
 */
const INTERNAL = ["sweep", "release", "ring_look", "sessions_renew", "refused"];

/** Lua commands that are steps of another command. */
const PARTS: Record<string, string[]> = {
  btf_load: ["btf_stage"],
  prog_load: ["prog_admit", "prog_btf", "prog_resolve", "prog_stage"],
  prog_test_run: ["run_commit", "prog_pages"],
};

/** Commands that TypeScript composes of others, without Lua of their own. */
const COMPOSED = ["elf_load", "namespace_list", "ticket_create"];

/** Operations that send a command of elements with a null key, for maps without keys. */
const KEYLESS = ["mapPush", "mapPop", "mapPeek"];

/** The first path that a path for another media type extends. */
const withoutMediaType = (path: string) =>
  path.replace(/\/((read-|write-)?bytes|events|text)$/, "");

it("every x-bpf-command is a Lua command and every Lua command is in operations of one path", () => {
  const paths = new Map<string, string[]>();
  for (const { path, operation } of routes) {
    if (KEYLESS.includes(operation.operationId)) continue;
    for (const command of commandsOf(operation).filter((name) => !COMPOSED.includes(name))) {
      paths.set(command, [...(paths.get(command) ?? []), withoutMediaType(path)]);
    }
  }
  for (const [command, of] of paths) expect(sorted(of), command).toHaveLength(1);
  const others = [...INTERNAL, ...Object.values(PARTS).flat()];
  expect(sorted([...paths.keys(), ...others])).toEqual(commandNames());
});

it("an operation has one media type beside that of problems", () => {
  for (const { operationId, requestBody, responses } of operations) {
    const success = Object.entries(responses).filter(([status]) => status < "300");
    for (const { content = {} } of [requestBody, ...success.map(([, of]) => of)].map(
      (x) => x ?? {},
    )) {
      expect(Object.keys(content).length, operationId).toBeLessThanOrEqual(1);
    }
  }
});

it("operations and handlers are the same list", () => {
  const ids = operations.map(({ operationId }) => operationId);
  expect(ids).toHaveLength(new Set(ids).size);
  expect(sorted(ids)).toEqual(sorted(Object.keys(handlers)));
});

/** The text of each member that starts where `pattern` matches. */
function parts(text: string, pattern: RegExp): Map<string, string> {
  const starts = [...text.matchAll(pattern)];
  return new Map(
    starts.map((start, i) => [start[1] ?? "", text.slice(start.index, starts[i + 1]?.index)]),
  );
}

it("a handler calls exactly the kernel methods of its operation's commands", () => {
  const files = readdirSync(join(ROOT, "api/handlers")).map((file) => read(`api/handlers/${file}`));
  const code = parts(files.join("\n"), /^const (\w+): Handler\b/gm);
  for (const operation of operations) {
    const text = code.get(operation.operationId) ?? "";
    const called = [...text.matchAll(/\bkernel\.(\w+)\(/g)].map(([, name = ""]) => snake(name));
    const wanted = commandsOf(operation);
    expect(sorted(called), operation.operationId).toEqual(sorted(wanted));
  }
});

it("a kernel method runs the one Lua command that has its name", () => {
  const seconds = Object.values(PARTS).flat();
  const nouns = ["commands", "loader"].flatMap((folder) =>
    readdirSync(join(ROOT, "domain", folder)).map((file) => `domain/${folder}/${file}`),
  );
  // PROG_LOAD is a pipeline in a file of its own, whose last step runs the command.
  const pipeline = "domain/commands/prog_load.ts";
  expect(read(pipeline)).toContain('await run(call, "prog_load",');
  const files = [...nouns, "domain/sweeper.ts", "domain/bpf.ts"];
  const text = files
    .filter((file) => file !== pipeline)
    .map(read)
    .join("\n");
  const commandsByMethod = new Map([
    ["sweep", ["sweep"]],
    ["ring_look", ["ring_look"]],
    ["sessions_renew", ["sessions_renew"]],
    ["prog_load", ["prog_load"]],
  ]);
  for (const [method, code] of parts(text, /^ {4}(?:async )?(\w+)(?:: |\()/gm)) {
    const found = [...code.matchAll(/\b(?:run|born|begin)\(\s*(?:call|as),\s*"(\w+)"/g)];
    const names = found.map(([, name = ""]) => name).filter((name) => !seconds.includes(name));
    if (names.length > 0) commandsByMethod.set(snake(method), sorted(names));
  }
  const whole = commandNames().filter((name) => ![...seconds, "refused", "release"].includes(name));
  expect(sorted(commandsByMethod.keys())).toEqual(whole);
  for (const [method, commands] of commandsByMethod) expect(commands).toEqual([method]);
  for (const command of whole) expect(service.kernel).toHaveProperty(camel(command));
});

// Errnos

const LUA = readdirSync(join(ROOT, "domain/lua"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".lua"))
  .sort();
const luaText = LUA.map((file) => read(`domain/lua/${file}`)).join("\n");

it("the errno tables agree: ERRNO, STATUS, x-errno-status, the enum, the table of the text", () => {
  const known = sorted(Object.keys(ERRNO));
  expect(document["x-errno-status"]).toEqual(STATUS);
  expect(sorted(Object.keys(STATUS))).toEqual(known);
  const { Errno } = document.components.schemas as unknown as { Errno: { enum: string[] } };
  expect(sorted(Errno.enum)).toEqual(known);
  const rows = [...TEXT.matchAll(/^ {4}\| (\d{3}) \| (E[A-Z0-9, ]+) \|$/gm)];
  const documented = rows.flatMap(([, status, names = ""]) =>
    names.split(", ").map((name) => [name, Number(status)]),
  );
  expect(Object.fromEntries(documented)).toEqual(STATUS);
});

it("the errno numbers are those of Linux", async () => {
  const { constants } = await import("node:os");
  for (const [name, number] of Object.entries(ERRNO)) {
    const linux = (constants.errno as Record<string, number>)[name];
    if (linux !== undefined) expect(number, name).toBe(linux);
  }
});

/** Words that only look like errnos: a reply of syscall.lua and a Redis command. */
const NO_ERRNOS = ["ENDED", "EXISTS"];

it("every errno that Lua or the program check raises is in the table, and the other way round", () => {
  const checks = ["verifier", "runtime", "transaction"]
    .flatMap((folder) => sources(`domain/${folder}`))
    .map(read);
  const raised = [luaText, ...checks].join("\n").matchAll(/"(E[A-Z0-9]{2,})"/g);
  const codes = sorted([...raised].map(([, code = ""]) => code)).filter(
    (code) => !NO_ERRNOS.includes(code),
  );
  expect(codes.filter((code) => !Object.hasOwn(ERRNO, code))).toEqual([]);
  expect(sorted(codes)).toEqual(sorted(Object.keys(ERRNO)));
});

it("some operation lists each errno of the table", () => {
  const given = operations.flatMap((operation) => operation["x-errnos"]);
  expect(sorted(given)).toEqual(sorted(Object.keys(ERRNO)));
});

/** The head of each command, which is a function of `sys`. */
const HEAD = /--\[\[((?:(?!\]\]).)*)\]\]\nfunction (?:\w+\.)?sys\.(\w+)/gs;

it("an operation lists every errno that the heads of its Lua commands name", () => {
  const heads = new Map(
    [...luaText.matchAll(HEAD)].map(([, head = "", name = ""]) => [name, head]),
  );
  expect(sorted(heads.keys())).toEqual(commandNames());
  const listed = new Map<string, string[]>();
  for (const operation of operations) {
    for (const command of commandsOf(operation)) {
      for (const name of [command, ...(PARTS[command] ?? [])]) {
        listed.set(name, [...(listed.get(name) ?? []), ...operation["x-errnos"]]);
      }
    }
  }
  for (const [name, head] of heads) {
    const [, errors] = head.split("Errors:");
    expect(errors, `${name} has no "Errors:"`).toBeDefined();
    if (INTERNAL.includes(name)) continue;
    const named = sorted(errors?.match(/\bE[A-Z0-9]{2,}\b/g) ?? []);
    expect(
      named.filter((errno) => !listed.get(name)?.includes(errno)),
      name,
    ).toEqual([]);
  }
});

// Operations

interface Example {
  example?: unknown;
  examples?: object;
}
interface DescribedOperation extends Operation {
  summary?: string;
  description?: string;
}
const hasExample = ({ example, examples }: Example) =>
  example !== undefined || examples !== undefined;

it.each(operations.map((o) => [o.operationId, o as DescribedOperation] as const))(
  "%s has summary, description, examples, x-errnos",
  (_id, operation) => {
    expect(operation.summary).toMatch(/\w/);
    expect(operation.description).toMatch(/\w/);
    const bodies = [operation.requestBody, ...Object.values(operation.responses)];
    for (const body of bodies as { content?: Record<string, Example> }[]) {
      for (const [type, media] of Object.entries(body?.content ?? {})) {
        // Bytes cannot be written in YAML.
        if (type !== "application/octet-stream") expect(hasExample(media), type).toBe(true);
      }
    }
    for (const given of operation.parameters ?? []) {
      const name = given.$ref?.split("/").at(-1) ?? "";
      const parameter = given.$ref ? document.components.parameters[name] : given;
      const { required = false, schema = {} } = parameter as typeof given;
      const about = JSON.stringify(given);
      // Pages and clients fill in the example of a parameter, so only a required one has it there.
      expect(hasExample(parameter as Example), about).toBe(required);
      if (!required) expect(hasExample(schema as Example), about).toBe(true);
    }
    expect(operation["x-errnos"]).toContain("EINVAL");
  },
);

/** Statuses that an operation has beside those of its errnos. */
function besides({ method, operation }: (typeof routes)[number]): number[] {
  const secured = (operation.security ?? []).some((scheme) => "session" in scheme);
  const keyed = (operation.security ?? []).some((scheme) => "apiKey" in scheme);
  const reads = method === "get";
  return [
    ...(secured || keyed ? [401, 503] : []),
    ...(secured ? [410] : []),
    ...(keyed ? [403] : []),
    ...(operation.operationId === "readinessGet" ? [503] : []),
    ...(operation.requestBody ? [413, 415] : []),
    // Reads take no Idempotency-Key.
    ...(reads ? [] : [422]),
  ];
}

it("an operation lists exactly the failures of its errnos and of HTTP", () => {
  for (const route of routes) {
    const { operation } = route;
    const statuses = operation["x-errnos"].map((name) => STATUS[name as keyof typeof STATUS]);
    const wanted = sorted([...statuses, ...besides(route)].map(String));
    const listed = Object.keys(operation.responses).filter((status) => status >= "400");
    expect(sorted(listed), operation.operationId).toEqual(wanted);
  }
});

// The running app

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
}

/** The routes of the app, which a request leads to. */
async function runningRoutes(): Promise<string[]> {
  let stack: Layer[] = [];
  service.server.prependOnceListener("request", (req) => {
    stack = (req as unknown as { app: { router: { stack: Layer[] } } }).app.router.stack;
  });
  await new Client(service.base).get("/livez");
  return stack.flatMap(({ route }) =>
    Object.keys(route?.methods ?? {}).map((method) => `${method} ${route?.path}`),
  );
}

it("the routes of the running app are those of the document", async () => {
  const paths = routes.map(
    ({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
  );
  expect((await runningRoutes()).sort()).toEqual(paths.sort());
});

/** Runs with the document changed; `change` returns a function that undoes it. */
async function withChange(change: () => () => void, run: () => Promise<void>): Promise<void> {
  const undo = change();
  try {
    await run();
  } finally {
    undo();
  }
}

/** Ajv rejects this schema only when it compiles it (strictTuples). */
const BAD = { type: "array", prefixItems: [{ type: "integer" }] };

it.each(["/v1/progs", "/v1/fds/{fd}/elements/{key}", "/v1/session", "/v1/fs"])(
  "a bad schema of a parameter of %s stops the start",
  async (path) => {
    const operation = Object.values(document.paths[path] ?? {})[0] as Operation;
    const before = operation.parameters;
    await withChange(
      () => {
        operation.parameters = [...(before ?? []), { name: "bad", in: "query", schema: BAD }];
        return () => {
          if (before) operation.parameters = before;
          else delete operation.parameters;
        };
      },
      () => expect(start()).rejects.toThrow(`openapi.yaml: ${operation.operationId}`),
    );
  },
);

it.each(["MapInput", "FdSendInput", "RenameInput", "SessionForkInput", "ElementInput"])(
  "a bad schema %s of a body stops the start",
  async (name) => {
    const { schemas } = document.components as { schemas: Record<string, object> };
    const before = schemas[name] as { properties: object };
    await withChange(
      () => {
        schemas[name] = { ...before, properties: { ...before.properties, bad: BAD } };
        return () => {
          schemas[name] = before;
        };
      },
      () => expect(start()).rejects.toThrow(/openapi\.yaml/),
    );
  },
);

it("every operation of the document compiles to validators", async () => {
  await createRouter(routes, handlers, createSchemas()).compile();
  const [wrong] = routes.map((route) => ({ ...route, operation: { ...route.operation } }));
  if (!wrong) throw new Error("no routes");
  wrong.operation.parameters = [{ name: "a", in: "query", schema: { type: "nonsense" } }];
  await expect(createRouter([wrong], handlers, createSchemas()).compile()).rejects.toThrow(/type/);
});

it("an operation with a security scheme that nothing checks stops the start", async () => {
  for (const operation of operations) {
    const before = operation.security;
    await withChange(
      () => {
        operation.security = [{ session: [] }, { nobody: [] }];
        return () => {
          if (before) operation.security = before;
        };
      },
      () => expect(start()).rejects.toThrow("no check for the security of nobody"),
    );
  }
});

it("an operation without a handler stops the start", async () => {
  const { fsRename } = handlers;
  delete handlers.fsRename;
  try {
    await expect(start()).rejects.toThrow("no handler for fsRename");
  } finally {
    if (fsRename) handlers.fsRename = fsRename;
  }
});

// Imports

function sources(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(ts|mts|mjs)$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** The imports of a file, as package names and paths from the root. */
function imports(file: string): string[] {
  const found = read(file).matchAll(
    /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|\brequire(?:\.resolve)?\(\s*)["'`]([^"'`$]+)["'`]/g,
  );
  return [...found].map(([, name = ""]) =>
    name.startsWith(".") ? normalize(join(dirname(file), name)) : name,
  );
}

const folders = readdirSync(ROOT).filter((name) =>
  ["api", "domain", "test", "bench", "examples", "scripts"].includes(name),
);
const all = folders.flatMap(sources).map((file) => ({ file, names: imports(file) }));
const importers = (pattern: RegExp) =>
  all.filter(({ names }) => names.some((name) => pattern.test(name))).map(({ file }) => file);

it("the import check finds known imports", () => {
  expect(importers(/^ioredis$/)).toContain("domain/redis/connection.ts");
  expect(importers(/^express$/)).toContain("api/app.ts");
  expect(importers(/^express-openapi-validator/)).toContain("api/middleware/validation.ts");
  expect(importers(/^domain\/errno\.ts$/)).toContain("api/errors/error_to_problem.ts");
});

it.each([
  [
    "ioredis is imported by domain/redis/connection.ts and bench/ only",
    /^ioredis/,
    /^(domain\/redis\/connection\.ts$|bench\/)/,
  ],
  ["express is imported in api/ only", /^express/, /^api\//],
  [
    "api/ is imported by itself, tests, bench/ and scripts/ only",
    /^api\//,
    /^(api|test|bench|scripts)\//,
  ],
  [
    "calls of Redis are sent by domain/, tests and bench/ only",
    /^domain\/redis\/(?!notifier|private_server)/,
    /^(domain|test|bench)\//,
  ],
  ["nothing but tests imports test/", /^test\//, /^test\//],
] as const)("%s", (_claim, imported, allowed) => {
  expect(importers(imported).filter((file) => !allowed.test(file))).toEqual([]);
});

// Helpers

/** Ways to write a helper as a bare number: compared, as a key, in a list, in a call, as an import. */
const BARE_HELPERS = [
  /isHelperCall\([^\n]*\bimm\b *[!=]== *\d/,
  /\b(helpers?|HELPERS|HELPER_ROWS)(\.has\(|\[) *\d/,
  /\b(\w+_)?HELPERS\b[^;\n]*= *(new Set(<\w+>)?\()?\[\s*\d/,
  /\bhelper *[!=]== *\d/,
  /\b(insn|insnHex)\(0x85, 0, 0, 0, \d/,
  /["'`.]h(\$\{number\}|\d+)\b["'`]?/,
];
const bareHelpers = (text: string) => BARE_HELPERS.filter((pattern) => pattern.test(text));

it("the check of helpers finds each way to write one as a number", () => {
  const texts = [
    "isHelperCall(insn) && insn.imm === 12",
    "helpers.has(181)",
    "const CALLBACK_HELPERS = new Set([164, 170]);",
    "if (helper === 1) return;",
    "insn(0x85, 0, 0, 0, 181)",
    "imports.h1",
  ];
  expect(texts.map((text) => bareHelpers(text).length)).toEqual(texts.map(() => 1));
});

it("no file outside domain/isa/ names a helper by its number", () => {
  const tested = ["domain", "test/compiler", "test/support", "test/linux/fuzz"].flatMap(sources);
  const found = tested.filter((file) => bareHelpers(read(file)).length > 0);
  expect(found.filter((file) => !file.startsWith("domain/isa/"))).toEqual([]);
});

// Lua

/** Kinds of items in the list `work`. None may go: stored lists of namespaces can hold it. */
const WORK_ITEMS = [
  ...["discard", "end_sessions", "exit", "forget", "free", "prune", "put_maps", "put_slots"],
  "unlink_pages",
];

it.each(LUA)(
  "%s has a header, at most 150 lines, and leaves the names of keys to kernel.lua",
  (file) => {
    const text = read(`domain/lua/${file}`);
    expect(text).toMatch(/^-- \S.*\.?\n/);
    expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(150);
    if (basename(file) === "kernel.lua") return;
    const code = text.replaceAll(/--.*$/gm, "");
    expect(code).not.toMatch(/\bKEYS\b|["']bpf:|\broot\s*\.\./);
    // A key is a variable or a call, never a literal or a concatenation.
    expect(code).not.toMatch(/\bcall\("[A-Z]+",\s*["']/);
    expect(code).not.toMatch(/\bredis\.(p?call\(|error_reply|status_reply)/);
  },
);

/** Every use() in a file, also a lazy one inside a function. */
const USES = new Map(
  LUA.map((file) => {
    const used = read(`domain/lua/${file}`).matchAll(/\buse\(\s*["']([\w/]+)["']\s*\)/g);
    return [file.replace(/\.lua$/, ""), [...used].map(([, name = ""]) => name)];
  }),
);

/** The files and folders in a folder, each with the others that it uses. */
function siblings(folder: string): Map<string, Set<string>> {
  const childOf = (name: string) =>
    name.startsWith(folder) ? name.slice(folder.length).split("/")[0] : undefined;
  const graph = new Map<string, Set<string>>();
  for (const [file, names] of USES) {
    const child = childOf(file);
    if (child === undefined) continue;
    const used = graph.get(child) ?? graph.set(child, new Set()).get(child);
    for (const other of names.map(childOf)) if (other && other !== child) used?.add(other);
  }
  return graph;
}

/** The names on a circle; empty when there is none. */
function circle(graph: Map<string, Set<string>>): string[] {
  const left = new Map([...graph].map(([name, used]) => [name, new Set(used)]));
  for (;;) {
    const free = [...left].find(([, used]) => ![...used].some((name) => left.has(name)));
    if (!free) return sorted(left.keys());
    left.delete(free[0]);
  }
}

const LUA_FOLDERS = sorted(LUA.map((file) => file.slice(0, file.lastIndexOf("/") + 1)));

it("the check of the Lua finds a circle, also one that a lazy use() closes", () => {
  expect(USES.get("file/file")).toContain("base/refcount");
  const used = (...names: string[]) => new Set(names);
  const graph = new Map([
    ["file", used("refcount")],
    ["refcount", used("map")],
    ["map", used("file")],
    ["top", used("map")],
  ]);
  expect(circle(graph)).toEqual(["file", "map", "refcount", "top"]);
  expect(circle(new Map([["top", used("map", "uapi")]]))).toEqual([]);
});

it.each(LUA_FOLDERS)(
  "the files and folders in domain/lua/%s use each other in no circle",
  (name) => {
    expect(circle(siblings(name))).toEqual([]);
  },
);

it("a file of the Lua uses only files that exist", () => {
  const missing = [...USES.values()].flat().filter((name) => name !== "uapi" && !USES.has(name));
  expect(missing).toEqual([]);
});

it.each(LUA_FOLDERS)(
  "domain/lua/%s has at most 15 files, but for the table of map types",
  (name) => {
    const files = LUA.filter((file) => file.slice(0, file.lastIndexOf("/") + 1) === name);
    expect(files.length).toBeLessThanOrEqual(name === "map/types/" ? 20 : 15);
  },
);

it("every stored work item has a handler", () => {
  const named = (verb: string) =>
    sorted(
      [...luaText.matchAll(new RegExp(`\\bwork\\.${verb}\\("(\\w+)"`, "g"))].map(([, n = ""]) => n),
    );
  expect(named("handle(?:_\\w+)?")).toEqual(WORK_ITEMS);
  expect(named("push")).toEqual(WORK_ITEMS);
});

it("kernel.lua builds a key in one function", () => {
  const code = read("domain/lua/base/kernel.lua").replaceAll(/--.*$/gm, "");
  expect(code.match(/\broot \.\. /g)).toHaveLength(2);
});
