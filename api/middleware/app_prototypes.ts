import { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Express } from "express";

/**
 * Express gives every request and response a new prototype, which costs more than the rest of Express.
 * These constructors create them with the app's prototypes, so that Express has nothing to change.
 */

function requestConstructor(app: Express): typeof IncomingMessage {
  function AppRequest(this: IncomingMessage, socket: Socket) {
    IncomingMessage.call(this as never, socket);
  }
  AppRequest.prototype = app.request;
  return AppRequest as unknown as typeof IncomingMessage;
}

type PrototypeFields = Record<string, unknown>;

/**
 * V8 reserves space in an object for the fields that its constructor's text assigns. ServerResponse adds
 * about forty, and without the reserved space V8 would move the object after every few.
 */
function responseConstructor(app: Express): typeof ServerResponse {
  const construct = ServerResponse as unknown as (...args: unknown[]) => void;
  function AppResponse(
    this: ServerResponse & PrototypeFields,
    req: IncomingMessage,
    options: object,
  ) {
    construct.call(this, req, options);
    if (req !== undefined) return;
    this.field0 = undefined;
    this.field1 = undefined;
    this.field2 = undefined;
    this.field3 = undefined;
    this.field4 = undefined;
    this.field5 = undefined;
    this.field6 = undefined;
    this.field7 = undefined;
    this.field8 = undefined;
    this.field9 = undefined;
    this.field10 = undefined;
    this.field11 = undefined;
    this.field12 = undefined;
    this.field13 = undefined;
    this.field14 = undefined;
    this.field15 = undefined;
    this.field16 = undefined;
    this.field17 = undefined;
    this.field18 = undefined;
    this.field19 = undefined;
    this.field20 = undefined;
    this.field21 = undefined;
    this.field22 = undefined;
    this.field23 = undefined;
    this.field24 = undefined;
    this.field25 = undefined;
    this.field26 = undefined;
    this.field27 = undefined;
    this.field28 = undefined;
    this.field29 = undefined;
    this.field30 = undefined;
    this.field31 = undefined;
  }
  AppResponse.prototype = app.response;
  return AppResponse as unknown as typeof ServerResponse;
}

export function withAppPrototypes(app: Express) {
  return {
    IncomingMessage: requestConstructor(app),
    ServerResponse: responseConstructor(app),
  };
}
