import {
  dereference,
  type Parameter,
  type Route,
  resolve,
  typeOf,
} from "../../api/openapi/openapi.ts";
import { typeOfBody } from "./raw.ts";

/** Builds requests from openapi.yaml: for each operation a valid one and variants of it. */

export interface Variant {
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

const INTEGERS = [
  ...["3", "4", "5", "6", "7", "8", "99", "0", "1", "4294967295", "9007199254740992", "03", "+3"],
  ...["3.0", "-1", "0x3", "", "%33", "1e0", "%203", "99999999999999999"],
];
const KEYS = [
  ...["u32:1", "u32:0", "01000000", "0100000", "u32%3A1", "U32:1", "u8:1", "00", "be32:1"],
  ...["u16:1+u16:0", "u16:1%2Bu16:0", "str:abcd", "str:a%62cd", "str:abc%00", "str:abc%0a", "%ff"],
  ...["str:abc%7f", "%30%31000000", "%zz", "%", "b64:AQAAAA==", "b64:AQAAAA%3D%3D", "zz", "-", "."],
  ...[
    "..",
    "%2e%2e",
    "str:%C3%A9%C3%A9",
    "str:%ed%a0%80x",
    "%2F",
    "a%2Fb",
    "0".repeat(3000),
    "x;y",
  ],
  ...["%25", "%2525", "str:(a)", "str:a'b", "str:a*b", "%22eth0%22", "7", "", "take", "x#y", "x/"],
];
const TEXTS = [
  ...["/x", "%2Fx", "/", "x", "a+b", "a%2Bb", "%zz", "%ff", "a=b", "..", "%00", "'", "a,b", "%E9"],
  ...[
    "/y%20z",
    "~x",
    "[x]",
    "u32:1",
    "01000000",
    "%c3%a9",
    "%22",
    "(",
    "x#y",
    "?",
    "x;y",
    "$",
    "@",
  ],
];
/** None exists, because two services cannot delete the same namespace. */
const NAMESPACES = [
  ...["t-none", "%74-none", "T-NONE", "t_none", "-t", "t-none%20", "t-none%2F", "%zz", "%", ".."],
  ...["", "n".repeat(63), "n".repeat(64), "%C3%A9", "t-none;x", "t-none#y", "{t}"],
];
const BOOLEANS = ["true", "false", "1", "TRUE", "", "0", "yes", "%74rue"];

function valuesOf(parameter: Parameter): string[] {
  const { name, schema = {}, in: place } = parameter;
  const type = typeOf(parameter);
  if (type === "integer") return INTEGERS;
  if (type === "boolean") return BOOLEANS;
  if (name === "namespace") return NAMESPACES;
  if (place === "path") return KEYS;
  const words = dereference(schema).enum as string[] | undefined;
  return words ? [...words, "nope", "", `%${words[0]?.charCodeAt(0).toString(16)}`] : TEXTS;
}

const HEADERS: Record<string, string>[] = [
  ...[{ accept: "application/json" }, { accept: "*/*" }, { accept: "text/html" }, { accept: "" }],
  ...[{ accept: "application/octet-stream" }],
  ...[{ accept: "application/json;q=0.5, application/octet-stream" }, { accept: "application/*" }],
  ...[{ authorization: "" }, { authorization: "Bearer x" }, { authorization: "Basic eA==" }],
  ...[{ "content-encoding": "gzip" }, { "content-encoding": "identity" }, { expect: "nothing" }],
  ...[{ "content-type": "application/json; charset=utf-8" }, { "content-type": "text/plain" }],
  ...[{ "content-type": "APPLICATION/JSON" }, { "content-type": "application/octet-stream" }],
  ...[
    { "if-match": "*" },
    { "if-match": "junk" },
    { "if-none-match": "*" },
    { "if-match": '"00"' },
  ],
  ...[{ "idempotency-key": "k" }, { "idempotency-key": "" }, { "last-event-id": "0" }],
  ...[{ "last-event-id": "x" }, { "x-api-key": "x" }],
];

const BODIES = [
  ...["", "{}", "[]", "null", "1", '"x"', "true", "{", " ", "\u0000", '{"a":1}x', "\ufeff{}"],
  ...[`{"value":${"[".repeat(40)}${"]".repeat(40)}}`, `${"[".repeat(9000)}${"]".repeat(9000)}`],
  ...['{"__proto__":{}}', '{"value":"u32:1","value":"u32:2"}', '{"constructor":1}'],
];
const VALUES = [null, -1, 1.5, 2 ** 53, "", "x", "1", true, [], {}, [1], { fd: 3 }, "u32:1", 0, 4];

interface Media {
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

export function examples({ operation }: Route): unknown[] {
  const media = operation.requestBody?.content["application/json"] as Media | undefined;
  if (!media) return [];
  return media.examples ? Object.values(media.examples).map(({ value }) => value) : [media.example];
}

/** Omits each field, gives it other values, and adds one unknown field. */
function bodiesOf(route: Route): string[] {
  if (typeOfBody(route) !== "application/json") return ["abcd", "", "x".repeat(100), ...BODIES];
  const given = examples(route) as Record<string, unknown>[];
  const changed = given.flatMap((example) => [
    example,
    { ...example, unknown: 1 },
    ...Object.keys(example).flatMap((name) => [
      { ...example, [name]: undefined },
      ...VALUES.map((value) => ({ ...example, [name]: value })),
    ]),
  ]);
  return [...changed.map((body) => JSON.stringify(body)), ...BODIES];
}

const exampleOf = ({ example }: { example?: unknown }) => encodeURIComponent(String(example));

export interface Parts {
  paths: string[];
  queries: string[];
  headers: Record<string, string>[];
  bodies: (string | undefined)[];
}

const RIGHT: Readonly<Record<string, string>> = { key: "u32:1", namespace: "t-none" };

function pathsOf(route: Route, parameters: Parameter[]): string[] {
  const own = parameters.filter((parameter) => parameter.in === "path");
  const right = own.reduce(
    (path, { name }) => path.replace(`{${name}}`, RIGHT[name] ?? "3"),
    route.path,
  );
  const others = own.flatMap((parameter) =>
    valuesOf(parameter).map((value) =>
      route.path
        .replace(`{${parameter.name}}`, () => value)
        .replace("{fd}", "3")
        .replace("{key}", "u32:1"),
    ),
  );
  const around = [`${right}/`, `/${right}`, right.toUpperCase(), right.replace("v1", "%76%31")];
  return [right, ...others, ...around, `${right}#x`, `http://x${right}`];
}

function queriesOf(parameters: Parameter[]): string[] {
  const own = parameters.filter((parameter) => parameter.in === "query");
  const required = own
    .filter((one) => one.required)
    .map((one) => (one.name === "path" ? "path=/x" : paired(one)));
  const right = required.join("&");
  const before = right ? `${right}&` : "";
  const named = own.flatMap((parameter) =>
    valuesOf(parameter).map((value) =>
      parameter.required ? `${parameter.name}=${value}` : `${before}${parameter.name}=${value}`,
    ),
  );
  const all = [...required, ...own.filter((one) => !one.required).map(paired)].join("&");
  const twice = own.map(({ name }) => `${before}${name}=1&${name}=1`);
  const odd = ["unknown=1", "&", "=", "x[y]=1", "__proto__=1", "toString=1", ""];
  return [right, ...named, ...twice, all, ...odd.map((text) => `${before}${text}`)];
}

const paired = (parameter: Parameter) =>
  `${parameter.name}=${exampleOf(parameter as { example?: unknown })}`;

/** The first value of each part is valid. */
export function partsOf(route: Route): Parts {
  const parameters = (route.operation.parameters ?? []).map(resolve);
  const bodies = route.operation.requestBody ? bodiesOf(route) : [undefined, "{}", "", "x"];
  return {
    paths: pathsOf(route, parameters),
    queries: queriesOf(parameters),
    headers: [{}, ...HEADERS],
    bodies: route.operation.requestBody?.required === false ? [undefined, ...bodies] : bodies,
  };
}

function variant(parts: Parts, [path, query, headers, body]: number[]): Variant {
  const search = parts.queries[query ?? 0] ?? "";
  const marked = search === "" && query === 0 ? "" : `?${search}`;
  return {
    path: `${parts.paths[path ?? 0]}${marked}`,
    headers: parts.headers[headers ?? 0] ?? {},
    body: parts.bodies[body ?? 0],
  };
}

/**
 * Returns the valid request, each variant with one changed part, and as many random combinations.
 */
export function variantsOf(route: Route, random: (below: number) => number): Variant[] {
  const parts = partsOf(route);
  const lists = [parts.paths, parts.queries, parts.headers, parts.bodies];
  const single = lists.flatMap((list, at) =>
    list.map((_, i) =>
      variant(
        parts,
        lists.map((_, other) => (other === at ? i : 0)),
      ),
    ),
  );
  const mixed = single.map(() =>
    variant(
      parts,
      lists.map(({ length }) => random(length)),
    ),
  );
  return [...single, ...mixed];
}
