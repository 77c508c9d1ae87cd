import fc from "fast-check";
import { document, type Operation, type Parameter, type Route } from "../../api/openapi/openapi.ts";

/** Generates requests for an operation from its schema; about half of them are invalid. */

export const WORDS = [
  "NOSCRIPT",
  "MOVED 1 127.0.0.1:1",
  "READONLY",
  "TRYAGAIN later",
  "CLUSTERDOWN",
];

interface ShotSchema {
  $ref?: string;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, ShotSchema>;
  required?: string[];
  items?: ShotSchema;
  oneOf?: ShotSchema[];
  anyOf?: ShotSchema[];
  minimum?: number;
  maximum?: number;
  default?: unknown;
}

function resolve<T extends { $ref?: string }>(given: T): T {
  const [, , group = "", name = ""] = given.$ref?.split("/") ?? [];
  const components = document.components as unknown as Record<string, Record<string, T>>;
  return given.$ref ? { ...resolve(components[group]?.[name] as T) } : given;
}

// The JSON is text, since no JavaScript object can express {"__proto__": 1, "a": 1, "a": 2}.

const deep = (n: number) => "[".repeat(n) + "]".repeat(n);
const nested = (n: number) => `${'{"value":'.repeat(n)}1${"}".repeat(n)}`;
const ODD = [
  ...["null", "true", "-1", "0.5", "1e400", "4294967296", "9007199254740993", "-0", "1e0"],
  ...['""', '"0"', '" 3"', '"\\u0000"', '"\\ud800"', '"__proto__"', '"../../x"', '"%2e%2e"'],
  ...["[]", "{}", "[[]]", '{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{}}}'],
  ...[deep(40), deep(10_000), nested(40), nested(10_000), JSON.stringify("A".repeat(100_000))],
  ...WORDS.map((word) => JSON.stringify(word)),
];
const odd = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ODD) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)) },
);
const STRINGS = ["/a", "/", "u32:1", "01000000", "0755", "CAP_BPF", "hash", "tcp", "GPL", "", "é"];

/** Schemas of JSON contain each other; so deep, a string ends them. */
const MAX_DEPTH = 4;

function fitting(schema: ShotSchema, depth = 0): fc.Arbitrary<string> {
  const s = resolve(schema);
  const inner = (part: ShotSchema) => fitting(part, depth + 1);
  const choices = s.oneOf ?? s.anyOf;
  if (choices && depth > MAX_DEPTH) return fitting({ type: "string" });
  if (choices) return fc.oneof(...choices.map(inner));
  if (s.const !== undefined) return fc.constant(JSON.stringify(s.const));
  if (s.enum) return fc.constantFrom(...s.enum).map((value) => JSON.stringify(value));
  switch (s.type) {
    case "integer": {
      const low = s.minimum ?? 0;
      const numbers = [low, low + 1, low + 4, low + 8, s.maximum ?? 1000];
      return fc.constantFrom(...numbers).map(String);
    }
    case "boolean":
      return fc.constantFrom("true", "false");
    case "array":
      return fc.array(inner(s.items ?? {}), { maxLength: 3 }).map((list) => `[${list.join()}]`);
    case "object":
      return object(s, inner, 0);
    default:
      return fc.constantFrom(...STRINGS, ...WORDS).map((text) => JSON.stringify(text));
  }
}

const EXTRA = ["__proto__", "constructor", "prototype", "extra", "", "toString", "fd "];

/** @param strays the chance in ten of adding a property that the schema does not have */
function object(s: ShotSchema, of: (schema: ShotSchema) => fc.Arbitrary<string>, strays: number) {
  const names = Object.keys(s.properties ?? {});
  const fields = names.map((name) => {
    const chance = s.required?.includes(name) ? 9 : 4;
    const value = of(s.properties?.[name] ?? {}).map((text) => `${JSON.stringify(name)}:${text}`);
    return fc.oneof(
      { weight: chance, arbitrary: value },
      { weight: 10 - chance, arbitrary: fc.constant("") },
    );
  });
  const stray = fc
    .tuple(fc.constantFrom(...EXTRA), odd)
    .map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  const last = fc.oneof(
    { weight: 10 - strays, arbitrary: fc.constant("") },
    { weight: strays, arbitrary: stray },
  );
  return fc.tuple(...fields, last).map((texts) => `{${texts.filter(Boolean).join()}}`);
}

/** About half of all generated values are invalid. */
function broken(schema: ShotSchema): fc.Arbitrary<string> {
  const s = resolve(schema);
  const choices = s.oneOf ?? s.anyOf;
  if (choices) return fc.oneof(...choices.map((choice) => broken(choice)));
  const right = s.type === "object" ? object(s, broken, 3) : fitting(s);
  return fc.oneof(
    { weight: s.type === "object" ? 5 : 1, arbitrary: right },
    { weight: 1, arbitrary: odd },
  );
}

// Requests

const FD = ["3", "4", "5", "0", "999999", "2147483647"];
const NUMBERS = [
  "0x3",
  "1e0",
  "+3",
  "03",
  "%203",
  "3.0",
  "-1",
  "2147483648",
  "%D9%A3",
  "3%00",
  "NaN",
];
const TEXTS = [
  ...[
    "01000000",
    "u32:1",
    "u32:1%2Bip4:10.0.0.1",
    "str:a",
    "zz",
    "%00",
    "str:%00",
    "%ff",
    "%c0%af",
  ],
  ...["%", "%zz", "%2e%2e", "..%2f..", "__proto__", "constructor", "A".repeat(5000), "%ud800"],
  ...WORDS.map((word) => `str:${encodeURIComponent(word)}`),
];
const PATHS = [
  "/",
  "/pin",
  "/dir",
  "/x",
  "",
  "//",
  "/dir/../pin",
  "%2Fpin",
  "/a%00b",
  "/%252e",
  "/e%CC%81",
];

function text({ name, in: place, ...given }: Parameter): fc.Arbitrary<string> {
  const schema = resolve((given as { schema: ShotSchema }).schema);
  const texts = name === "path" ? PATHS : TEXTS;
  if (name === "fd") return fc.constantFrom(...FD, ...FD, ...NUMBERS, "__proto__");
  if (schema.type === "integer") return fc.constantFrom("0", "1", "2", ...NUMBERS);
  if (schema.type === "boolean") return fc.constantFrom("true", "false", "TRUE", "1", "");
  return fc.constantFrom(...(place === "path" ? texts.filter(Boolean) : texts));
}

const STRAY_QUERY = [
  "__proto__=1",
  "constructor[prototype]=1",
  "a=%ff",
  "%",
  "a[]=1&a[]=2",
  "=",
  "?",
];

function url({ path, operation }: Route): fc.Arbitrary<string> {
  const parameters = (operation.parameters ?? []).map(resolve);
  const inPath = parameters.filter((parameter) => parameter.in === "path");
  const inQuery = parameters.filter((parameter) => parameter.in === "query");
  const pieces = inQuery.map((parameter) => {
    const one = text(parameter).map((value) => [`${parameter.name}=${value}`]);
    const doubled = one.map(([piece = ""]) => [piece, piece]);
    const chance = parameter.name === "path" ? 12 : 3;
    return fc.oneof(
      { weight: chance, arbitrary: one },
      { weight: 1, arbitrary: doubled },
      { weight: 3, arbitrary: fc.constant([] as string[]) },
    );
  });
  const stray = fc.oneof(
    { weight: 8, arbitrary: fc.constant([] as string[]) },
    { weight: 1, arbitrary: fc.constantFrom(...STRAY_QUERY).map((piece) => [piece]) },
  );
  return fc
    .tuple(fc.tuple(...inPath.map(text)), fc.tuple(...pieces, stray))
    .map(([values, query]) => {
      let n = 0;
      const at = path.replaceAll(/\{\w+\}/g, () => values[n++] ?? "");
      const pairs = query.flat();
      return pairs.length > 0 ? `${at}?${pairs.join("&")}` : at;
    });
}

const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const TYPES = [
  "text/plain",
  "application/json; charset=utf-16",
  "application/octet-stream",
  "x",
  "a/b/c",
];
const odds = fc.record({
  "content-type": rarely(fc.constantFrom(...TYPES, "application/json;charset=UTF-8", "")),
  "content-encoding": rarely(fc.constantFrom("gzip", "identity", "br", "")),
  authorization: rarely(fc.constantFrom("", "Bearer x", "Basic eDp5", "Bearer __proto__")),
  "idempotency-key": rarely(fc.constantFrom("k", "", " ", "é", "x".repeat(256), ...WORDS)),
  accept: rarely(fc.constantFrom("application/octet-stream", "text/html", "*/*;q=0", "")),
  "x-request-id": rarely(fc.constantFrom("mine-1", "a b", "<script>")),
  "x-odd": rarely(fc.constantFrom("A".repeat(8000), "A".repeat(20_000))),
});

const octetOdds = odds.map((headers) => ({
  ...headers,
  "content-type": headers["content-type"] ?? "application/octet-stream",
}));

const BROKEN_JSON = [
  "",
  "{",
  '{"a":}',
  "nul",
  "[1,]",
  '"text"',
  "1",
  "\ufeff{}",
  "{}{}",
  "\u0000",
  deep(50_000),
];

function content({ requestBody }: Operation): fc.Arbitrary<Buffer | undefined> {
  const schema = requestBody?.content["application/json"]?.schema;
  const junk = fc.oneof(
    fc.constantFrom(...BROKEN_JSON).map((json) => Buffer.from(json)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  );
  const none = fc.constant(undefined);
  if (requestBody && !schema) return fc.oneof({ weight: 6, arbitrary: junk }, none);
  if (!schema) return fc.oneof({ weight: 6, arbitrary: none }, { weight: 1, arbitrary: junk });
  const json = broken(schema).map((written) => Buffer.from(written));
  return fc.oneof(
    { weight: 12, arbitrary: json },
    { weight: 1, arbitrary: none },
    { weight: 2, arbitrary: junk },
  );
}

export interface Shot {
  url: string;
  headers: Record<string, string | undefined>;
  body: Buffer | undefined;
}

export function shots(route: Route): fc.Arbitrary<Shot> {
  const types = Object.keys(route.operation.requestBody?.content ?? {});
  const headers = types.includes("application/octet-stream") ? octetOdds : odds;
  return fc.record({ url: url(route), headers, body: content(route.operation) });
}
