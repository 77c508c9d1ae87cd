import type { Operation, Route } from "../../../api/openapi/openapi.ts";
import type { Dice } from "../random.ts";
import {
  type ContractRequest,
  type DocumentedParameter,
  exampleBody,
  JSON_MEDIA,
  OCTET_MEDIA,
  parametersOf,
} from "./examples.ts";
import { FILES } from "./tour.ts";
import type { ValueMaker, ValueSchema } from "./values.ts";

/** Makes random requests of an operation from the document: right ones, and some with one fault. */

type Fault = "none" | "parameter" | "body";

/** A request that waits takes as long as it says, so it says little. */
const SHORT: Record<string, number[]> = { wait_ms: [0, 1, 20] };

interface Media {
  schema?: ValueSchema;
  examples?: Record<string, unknown>;
}

export class RequestMaker {
  readonly #dice: Dice;
  readonly #values: ValueMaker;

  constructor(dice: Dice, values: ValueMaker) {
    this.#dice = dice;
    this.#values = values;
  }

  request(route: Route, headers: Record<string, string>): ContractRequest {
    const { method, path, operation } = route;
    const fault = this.#dice.from<Fault>(["none", "none", "none", "parameter", "body"]);
    const parameters = parametersOf(operation);
    const broken = fault === "parameter" && parameters.length > 0 ? this.#dice.from(parameters) : 0;
    let url = path;
    const query: string[] = [];
    const own: Record<string, string> = {};
    for (const parameter of parameters) {
      const { name, in: place, required } = parameter;
      if (
        place !== "path" &&
        parameter !== broken &&
        !this.#dice.oneIn(required ? 50 : 5) !== !!required
      )
        continue;
      const text = this.#text(parameter, parameter === broken);
      if (place === "path") url = url.replace(`{${name}}`, () => encoded(text) || "%20");
      else if (place === "query") query.push(`${name}=${encoded(text)}`);
      else own[name] = text.replaceAll(/[^\x20-\x7e]/g, "?");
    }
    const body = this.#body(operation, fault === "body");
    return {
      method: method.toUpperCase(),
      path: query.length > 0 ? `${url}?${query.join("&")}` : url,
      headers: { ...headers, ...own, ...body.headers },
      body: body.bytes,
    };
  }

  #text({ name, schema = {}, example }: DocumentedParameter, isWrong: boolean): string {
    if (isWrong) return plain(this.#values.wrong(schema as ValueSchema, name));
    const short = SHORT[name];
    if (short) return String(this.#dice.from(short));
    if (example !== undefined && this.#dice.oneIn(3)) return plain(example);
    return plain(this.#values.right(schema as ValueSchema, name));
  }

  #body({ operationId, requestBody }: Operation, isWrong: boolean) {
    const content = (requestBody?.content ?? {}) as Record<string, Media>;
    const json = content[JSON_MEDIA];
    if (OCTET_MEDIA in content) return this.#octets(FILES[operationId]);
    if (!json?.schema || (requestBody?.required === false && this.#dice.oneIn(4)))
      return { headers: {}, bytes: undefined };
    const value = isWrong ? this.#values.wrong(json.schema) : this.#rightBody(json);
    const headers = { "content-type": this.#dice.oneIn(60) ? "text/plain" : JSON_MEDIA };
    return { headers, bytes: Buffer.from(JSON.stringify(value) ?? "") };
  }

  #rightBody({ schema = {}, examples = {}, ...media }: Media): unknown {
    const value = this.#values.right(schema);
    if (!this.#dice.oneIn(2)) return value;
    const name =
      Object.keys(examples).length > 0 ? this.#dice.from(Object.keys(examples)) : undefined;
    const operation = { requestBody: { content: { [JSON_MEDIA]: { ...media, examples } } } };
    return exampleBody(operation as unknown as Operation, name);
  }

  #octets(file: Buffer | undefined) {
    const random = Buffer.from(
      Array.from({ length: this.#dice.below(40) }, () => this.#dice.below(256)),
    );
    const bytes = file && this.#dice.oneIn(2) ? file : random;
    return { headers: { "content-type": OCTET_MEDIA }, bytes };
  }
}

const plain = (value: unknown) =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "");

/** A lone surrogate cannot be written in UTF-8, so a stray byte takes its place. */
function encoded(text: string): string {
  const parts = text.split(
    /([\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff])/,
  );
  return parts.map((part, i) => (i % 2 === 1 ? "%ff" : encodeURIComponent(part))).join("");
}
