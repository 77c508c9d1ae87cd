import { Ajv2020, type AnySchema, type ValidateFunction } from "ajv/dist/2020.js";
import { default as addFormats } from "ajv-formats";
import { JSON_TYPE } from "../media_types.ts";
import { escapePointer } from "./json_pointer.ts";
import { document, type Parameter, type Route, resolve } from "./openapi.ts";
import { trimDocument } from "./trim_document.ts";

/**
 * Validators of the document's own schemas, compiled by one Ajv with the settings of
 * express-openapi-validator. They fill in defaults.
 */

const NAME = "openapi.yaml";

/** The place of an operation in the document, as a JSON pointer in a URI. */
export const pointerOf = ({ method, path }: Pick<Route, "method" | "path">) =>
  `/paths/${escapePointer(path).replace(/[{}]/g, encodeURIComponent)}/${method}`;

/** A schema whose reference also resolves outside of the document. */
function absolute({ $ref, ...schema }: { $ref?: string }): AnySchema {
  return $ref === undefined ? schema : { ...schema, $ref: `${NAME}${$ref}` };
}

function objectOf(parameters: readonly Parameter[], place: string): AnySchema {
  const own = parameters.filter((parameter) => parameter.in === place);
  return {
    type: "object",
    additionalProperties: false,
    required: own.filter(({ required }) => required).map(({ name }) => name),
    properties: Object.fromEntries(own.map(({ name, schema = {} }) => [name, absolute(schema)])),
  };
}

export interface Schemas {
  /** Validates the converted `params` and `query` of an object. */
  parameters(route: Route): ValidateFunction;
  /** Validates a JSON body; undefined if the operation takes none. */
  body(route: Pick<Route, "method" | "path">): ValidateFunction | undefined;
}

/** Errors keep the value that is wrong (`verbose`), for the messages. */
function createAjv(): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    strictTuples: true,
    useDefaults: true,
    verbose: true,
  });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  return ajv.addSchema(trimDocument(document), NAME);
}

/** Ajv is made at the first use, so that the start does not wait for it. */
export function createSchemas(): Schemas {
  let made: Ajv2020 | undefined;
  const ajv = () => {
    made ??= createAjv();
    return made;
  };
  return {
    parameters({ operation }) {
      const parameters = (operation.parameters ?? []).map(resolve);
      const [params, query] = [objectOf(parameters, "path"), objectOf(parameters, "query")];
      return ajv().compile({ type: "object", properties: { params, query } });
    },
    body(route) {
      const operation = document.paths[route.path]?.[route.method];
      if (!operation?.requestBody?.content[JSON_TYPE]) return undefined;
      const content = `${pointerOf(route)}/requestBody/content`;
      // Ajv compiles it at the first call and finds it again by its name.
      return ajv().getSchema(`${NAME}#${content}/application~1json/schema`);
    },
  };
}
