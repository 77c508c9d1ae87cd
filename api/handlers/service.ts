import { type Handler, ok } from "../handler.ts";
import { TEXT } from "../openapi/openapi.ts";

/** The service itself: liveness, readiness and the document. */

const livez: Handler = async () => ok({ status: "ok" });

const readyz: Handler = async (context) => {
  await context.ready();
  return ok({ status: "ok" });
};

const openapi: Handler = async () => ({
  status: 200,
  bytes: Buffer.from(TEXT),
  type: "application/yaml",
});

export const service = { livez, readyz, openapi };
