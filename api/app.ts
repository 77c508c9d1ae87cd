import { createServer, IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import express, { type Express, type Request, type RequestHandler } from "express";
import type { Caller } from "../domain/token.ts";
import { body } from "./body.ts";
import { document, routes } from "./document.ts";
import { HttpError, type OnFault, problemHandler, sendProblem } from "./errors.ts";
import { explain } from "./explain.ts";
import { createFastLane } from "./fast_lane.ts";
import * as guard from "./guard.ts";
import { bearer, type Context, type Handler, idempotency } from "./handler.ts";
import { handlers } from "./handlers/index.ts";
import { assets } from "./handlers/service.ts";
import { refuse } from "./problem.ts";
import { noEventsToHead, sendEvents } from "./sse.ts";
import { createValidator, type Security, warmUp } from "./validation.ts";

/** The application, without a port: what ships is what is tested. */

interface Identified extends Request {
  caller?: Caller;
}

const NOBODY: Caller = { namespace: "", sid: "", hash: "" };

/** No security scheme of the document may be without its check. */
function securityOf({ kernel }: Context): Security {
  const checks: Security = {
    session: (req: Identified) => {
      req.caller = bearer(kernel, req.headers.authorization);
      return true;
    },
    // Which keys there are and what they may is the handler's to check: without any, none is needed.
    apiKey: () => true,
  };
  for (const { operation } of routes) {
    for (const scheme of (operation.security ?? []).flatMap(Object.keys)) {
      if (!checks[scheme]) throw new Error(`openapi.yaml: no check for the security of ${scheme}`);
    }
  }
  return checks;
}

function answer(context: Context, handler: Handler, onFault: OnFault): RequestHandler {
  return async (req: Identified, res) => {
    const caller = req.caller ?? NOBODY;
    const call = { ...caller, ...idempotency(req, caller.sid) };
    const reply = await handler(context, { req, call });
    if (reply.events) return sendEvents(reply.events, res, onFault);
    res.status(reply.status).set(reply.headers ?? {});
    if (reply.bytes) res.type(reply.type ?? "application/octet-stream").send(reply.bytes);
    else if (reply.body) res.json(reply.body);
    else res.end();
  };
}

export interface Options {
  /** Checks every JSON answer against the document; for tests. */
  validateResponses?: boolean;
  onFault: OnFault;
}

const notFound: RequestHandler = (req) => {
  throw new HttpError(404, "not-found", `no route ${req.path}`);
};

async function createApp(context: Context, options: Options): Promise<Express> {
  const app = express();
  app.set("etag", false);
  app.set("x-powered-by", false);
  app.set("query parser", "simple");
  app.set("case sensitive routing", true);
  const validator = createValidator(
    document,
    securityOf(context),
    options.validateResponses ?? false,
  );
  app.use(noEventsToHead, guard.head, assets, guard.contentType);
  app.use(
    validator.authenticate,
    guard.conditions,
    guard.numbers,
    body,
    guard.depth,
    validator.validate,
    explain,
  );
  for (const { method, path, operation } of routes) {
    const handler = handlers[operation.operationId];
    if (!handler) throw new Error(`openapi.yaml: no handler for ${operation.operationId}`);
    app[method](path.replaceAll(/\{(\w+)\}/g, ":$1"), answer(context, handler, options.onFault));
  }
  app.use(notFound, problemHandler(options.onFault));
  await warmUp(app, validator);
  return app;
}

let requests = 0;
const BOOT = Date.now().toString(36);
const REQUEST_ID = /^[\w.-]{1,64}$/;

function nextId(): string {
  requests += 1;
  return `${BOOT}-${requests}`;
}

function label(req: IncomingMessage, res: ServerResponse): void {
  const given = req.headers["x-request-id"];
  const id = typeof given === "string" && REQUEST_ID.test(given) ? given : nextId();
  res.setHeader("x-request-id", id);
  res.setHeader("cache-control", "no-store");
  res.setHeader("x-content-type-options", "nosniff");
}

/**
 * Express gives every request and response a new prototype, which costs more than all the rest of
 * it: here they are born with the app's own, so that nothing is left to change.
 */
function bornAs(app: Express) {
  function Req(this: IncomingMessage, socket: Socket) {
    IncomingMessage.call(this as never, socket);
  }
  function Res(this: ServerResponse, req: IncomingMessage, options: object) {
    (ServerResponse as unknown as (...args: unknown[]) => void).call(this, req, options);
  }
  Req.prototype = app.request;
  Res.prototype = app.response;
  return {
    IncomingMessage: Req as unknown as typeof IncomingMessage,
    ServerResponse: Res as unknown as typeof ServerResponse,
  };
}

/** Slow senders are cut; kept connections outlive a balancer's idle minute. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16_384,
};
const MAX_CONNECTIONS = 10_000;

/** @throws when the document and the handlers do not fit together. */
export async function createService(context: Context, options: Options): Promise<Server> {
  const app = await createApp(context, options);
  const sendError = (error: Error, req: IncomingMessage, res: ServerResponse) =>
    sendProblem(error, req, res, options.onFault);
  const fastLane = createFastLane(context.kernel, app, sendError);
  const server = createServer({ ...bornAs(app), ...LIMITS }, (req, res) => {
    label(req, res);
    if (!fastLane(req, res)) app(req, res);
  });
  server.on("clientError", (error, socket) => refuse(error, socket, nextId()));
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}
