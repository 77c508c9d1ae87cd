import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import express, { type Express, type RequestHandler } from "express";
import { idempotencyOf } from "../domain/bpf.ts";
import { withAccess } from "./access/access.ts";
import { type AccessRules, accessRules } from "./access/access_rules.ts";
import { HttpError, type OnFault, problemHandler, sendProblem } from "./errors/error_to_problem.ts";
import { sendRawProblem } from "./errors/problem.ts";
import { createComparison, createFastPath, type Hooks } from "./fast_path/fast_path.ts";
import { createRouter, pause } from "./fast_path/plain_routes.ts";
import {
  ANONYMOUS,
  conditionOf,
  type Handler,
  type HandlerRequest,
  idempotencyKey,
  type ServiceContext,
} from "./handler.ts";
import { errorPages } from "./handlers/error_pages.ts";
import { handlers } from "./handlers/index.ts";
import { assets } from "./handlers/page.ts";
import { withAppPrototypes } from "./middleware/app_prototypes.ts";
import { body, type RawRequest } from "./middleware/body.ts";
import { contentType, mediaTypeErrors } from "./middleware/content_type.ts";
import { withMediaTypePaths } from "./middleware/media_type_paths.ts";
import { withOriginForm } from "./middleware/origin_form.ts";
import { inOrder } from "./middleware/pipelining.ts";
import { withContinue, withUnreadBodies } from "./middleware/receive_body.ts";
import * as requestChecks from "./middleware/request_checks.ts";
import {
  type AuthenticatedRequest,
  checkApiKey,
  createSecurity,
  reportRefusal,
} from "./middleware/security.ts";
import { encodedUrl } from "./middleware/unicode.ts";
import { createValidator, warmUp } from "./middleware/validation.ts";
import { document, type Operation, routerPath, routes } from "./openapi/openapi.ts";
import { createSchemas, type Schemas } from "./openapi/schemas.ts";
import { createValidationMessages } from "./openapi/validation_messages.ts";
import { withOverloadCheck } from "./overload.ts";
import { RequestsUnderWay } from "./requests_under_way.ts";
import { nextId, requestId, respondIfNew, setCommonHeaders } from "./respond.ts";
import { sendEvents } from "./sse.ts";

/** The application without a port, as the tests use it too. */

interface Identified extends AuthenticatedRequest, Pick<RawRequest, "octets"> {
  operationId?: string;
  isHead?: boolean;
}

export interface AppOptions {
  onFault: OnFault;
  /** Who may use the service; the default is for its own machine, or for everybody with API keys. */
  access?: AccessRules;
  /** For tests: "off" sends every request down the general path, "compared" after the fast one has read it. */
  fastPath?: "on" | "off" | "compared";
  /**
   * When validators are compiled: before the service is returned, one by one once it listens, or, for tests, each
   * by the first request that needs it.
   */
  compile?: "ahead" | "listening" | "on use";
  /** Called once the service listens if a schema of the document cannot be compiled. */
  onInvalidDocument?: (error: Error) => void;
  /** For tests. */
  hooks?: Hooks;
}

/** Makes the request of a handler from what Express and the validator have read. */
async function handlerRequest(req: Identified, res: ServerResponse): Promise<HandlerRequest> {
  const { headers, query, caller = ANONYMOUS, ticketMapId } = req;
  const { method, url, octets } = req;
  const content = { method, url, condition: conditionOf(req), body: octets };
  const key = method === "GET" ? undefined : idempotencyKey(req);
  const call = { ...caller, ...(await idempotencyOf(caller.sid, key, content)) };
  const params = req.openapi?.pathParams ?? {};
  return { call, params, query, body: req.body, headers, ticketMapId, res };
}

function createRequestHandler(
  context: ServiceContext,
  { operationId }: Operation,
  handler: Handler,
  { onFault, hooks }: AppOptions,
): RequestHandler {
  return async (req: Identified, res) => {
    req.operationId = operationId;
    const request = await handlerRequest(req, res);
    hooks?.onGeneralRequest?.(req, request);
    const response = await handler(context, request);
    if (response.events) return sendEvents(response.events, res, onFault, req.isHead);
    hooks?.onResponse?.(operationId, response);
    respondIfNew(req, res, response);
  };
}

const notFound: RequestHandler = (req) => {
  throw new HttpError(404, "not-found", `no route ${req.path}`);
};

interface App {
  app: Express;
  warmUp(pause: () => Promise<void>): Promise<void>;
}

function createApp(context: ServiceContext, options: AppOptions, schemas: Schemas): App {
  const app = express();
  app.set("etag", false);
  app.set("x-powered-by", false);
  app.set("query parser", "simple");
  app.set("case sensitive routing", true);
  const validator = createValidator(document, createSecurity(context));
  app.use(requestChecks.headAsGet, encodedUrl, requestChecks.trailingSlash);
  app.use(assets, errorPages, contentType);
  app.use(
    validator.authenticate,
    reportRefusal,
    checkApiKey(context),
    requestChecks.conditions,
    requestChecks.numbers,
    body,
    requestChecks.depth,
    requestChecks.surrogates,
  );
  app.use(validator.validate, mediaTypeErrors, createValidationMessages(schemas));
  for (const route of routes) {
    const { method, operation } = route;
    const handler = handlers[operation.operationId];
    if (!handler) throw new Error(`openapi.yaml: no handler for ${operation.operationId}`);
    app[method](routerPath(route), createRequestHandler(context, operation, handler, options));
  }
  app.use(notFound, problemHandler(options.onFault, options.hooks?.onGeneralError));
  return { app, warmUp: (pause) => warmUp(app, validator, pause) };
}

/** Slow senders are disconnected; idle connections outlive the minute of a load balancer. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16_384,
  // Node's own answer to a missing Host has no problem.
  requireHostHeader: false,
};
/** Room for all that wait for records, and for others beside them. */
const MAX_CONNECTIONS = 20_000;

/** @throws if the document and the handlers do not match. */
export async function createService(context: ServiceContext, options: AppOptions): Promise<Server> {
  const { onFault, fastPath = "on", compile = "ahead", hooks = {} } = options;
  const { access = accessRules(context.keys !== undefined) } = options;
  const { onInvalidDocument = (error) => server.emit("error", error) } = options;
  const schemas = createSchemas();
  const { app, warmUp } = createApp(context, options, schemas);
  const general = (req: IncomingMessage, res: ServerResponse) => {
    setCommonHeaders(res, requestId(req));
    app(req, res);
  };
  const sendError = (error: Error, req: IncomingMessage, res: ServerResponse) =>
    sendProblem(error, req, res, onFault);
  const router = createRouter(routes, handlers, schemas);
  const paths = { find: router.find, general, sendError, hooks };
  const listeners = {
    on: () => createFastPath(context, paths),
    off: () => general,
    compared: () => createComparison(context, paths),
  };
  const refuse = (error: Error, req: IncomingMessage, res: ServerResponse) => {
    setCommonHeaders(res, requestId(req));
    sendError(error, req, res);
  };
  const allowed = withMediaTypePaths(listeners[fastPath]());
  const unloaded = withOverloadCheck(context.kernel, allowed, refuse);
  const accessible = withOriginForm(withAccess(access, unloaded, refuse), refuse);
  const inTurn = withUnreadBodies(inOrder(accessible));
  const listener = new RequestsUnderWay(context.kernel).watch(inTurn);
  const server = createServer({ ...withAppPrototypes(app), ...LIMITS }, listener);
  server.on("checkContinue", withContinue(listener));
  server.on("clientError", (error, socket) => sendRawProblem(error, socket, nextId()));
  server.maxConnections = MAX_CONNECTIONS;
  // Compiling takes longer than the rest of the start, which therefore does not wait for it.
  const compileRest = async () => {
    await router.compile();
    if (compile === "listening") await warmUp(pause);
  };
  if (compile !== "on use") {
    server.once("listening", () => void compileRest().catch(onInvalidDocument));
  }
  if (compile === "ahead") await warmUp(async () => {});
  return server;
}
