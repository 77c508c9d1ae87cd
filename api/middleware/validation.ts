import { createRequire } from "node:module";
import { Socket } from "node:net";
import type express from "express";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import type { OpenAPIV3 } from "express-openapi-validator/dist/framework/types.js";
import { type Document, type Operation, routes } from "../openapi/openapi.ts";
import { trimDocument } from "../openapi/trim_document.ts";

/**
 * express-openapi-validator over the whole document: its matchers are compiled once, and all its
 * validators soon, so that a fault in the document stops the service instead of a request.
 */

const require = createRequire(import.meta.url);

/**
 * The validator compiles every route's regular expression on every request (upstream pull request
 * 1217). It calls path-to-regexp through the module's exports, where this remembers the results.
 */
function rememberMatchers(): void {
  const module = require("path-to-regexp") as {
    pathToRegexp: (path: unknown, options?: Options) => unknown;
  };
  interface Options {
    sensitive?: boolean;
    strict?: boolean;
  }
  const compile = module.pathToRegexp;
  const known = new Map<string, unknown>();
  // The path alone is the key, because the settings of the app do not change.
  module.pathToRegexp = (path, options = {}) => {
    if (typeof path !== "string" || !options.sensitive || options.strict) {
      return compile(path, options);
    }
    let matcher = known.get(path);
    if (matcher === undefined) {
      matcher = compile(path, options);
      known.set(path, matcher);
    }
    return matcher;
  };
}

rememberMatchers();
const { middleware } =
  require("express-openapi-validator") as typeof import("express-openapi-validator");

export interface Validator {
  /** Finds the operation and checks the form of the credentials, before the body is read. */
  authenticate: RequestHandler[];
  /** Checks parameters and body. */
  validate: RequestHandler[];
}

export type Security = Record<string, (req: Request) => boolean>;

const UNTIL_BODY = 3;

/** The validator keeps what it compiles by type, and no client can send this one. */
const CHECKED_TYPE = "application/x-checked";

interface CheckedRequest extends Request {
  isChecked?: boolean;
  openapi?: { schema: Operation };
}

/** Leaves the body out of the validation that a thread has done; the parameters are validated. */
function withoutCheckedBody(validate: RequestHandler): RequestHandler {
  return (req: CheckedRequest, res, next) => {
    const { openapi, headers } = req;
    if (!req.isChecked || !openapi) return validate(req, res, next);
    const { schema } = openapi;
    const { requestBody: _, ...parameters } = schema;
    const { "content-type": type } = headers;
    const restored: NextFunction = (error) => {
      Object.assign(openapi, { schema });
      headers["content-type"] = type;
      next(error);
    };
    Object.assign(openapi, { schema: parameters });
    headers["content-type"] = CHECKED_TYPE;
    try {
      validate(req, res, restored);
    } catch (error) {
      restored(error);
    }
  };
}

export function createValidator(document: Document, security: Security): Validator {
  const handlers = middleware({
    apiSpec: trimDocument(document) as unknown as OpenAPIV3.DocumentV3_1,
    validateApiSpec: false,
    validateRequests: true,
    validateResponses: false,
    validateSecurity: { handlers: security },
    fileUploader: false,
    ajvFormats: { mode: "full" },
  }) as unknown as RequestHandler[];
  return {
    authenticate: handlers.slice(0, UNTIL_BODY),
    validate: handlers.slice(UNTIL_BODY).map(withoutCheckedBody),
  };
}

function run(handler: RequestHandler, req: Request, res: Response): Promise<unknown> {
  return new Promise((resolve) => handler(req, res, resolve));
}

function fakeRequest(app: express.Express, method: string, path: string, type: string | undefined) {
  const fields = {
    method: method.toUpperCase(),
    url: path,
    originalUrl: path,
    headers: type === undefined ? {} : { "content-type": type, "content-length": "2" },
    params: {},
    body: {},
    query: {},
    app,
    socket: new Socket(),
  };
  const own = Object.getOwnPropertyDescriptors(fields);
  const req = Object.create(app.request, own) as Request;
  return { req, res: Object.create(app.response, { req: { value: req } }) as Response };
}

/**
 * Sends one request per operation and content type through the validator, for it to compile.
 *
 * @param pause between two operations.
 * @throws the first fault of the document.
 */
export async function warmUp(
  app: express.Express,
  validator: Validator,
  pause: () => Promise<void>,
): Promise<void> {
  const [pathParams, metadata] = validator.authenticate as [RequestHandler, RequestHandler];
  const [request] = validator.validate as [RequestHandler];
  for (const { method, path, operation } of routes) {
    await pause();
    const types = operation.requestBody ? Object.keys(operation.requestBody.content) : [undefined];
    for (const type of types) {
      const { req, res } = fakeRequest(app, method, path.replaceAll(/\{\w+\}/g, "0"), type);
      for (const handler of [pathParams, metadata, request]) {
        const error = (await run(handler, req, res)) as { status?: number } | undefined;
        if (error && (error.status ?? 500) >= 500) {
          throw new Error(`openapi.yaml: ${operation.operationId}`, { cause: error });
        }
        if (error) break;
      }
    }
  }
}
