import { type Handler, ok } from "../handler.ts";
import { TEXT } from "../openapi/openapi.ts";

/** The service itself: liveness, readiness and the document. */

const livenessGet: Handler = async () => ok({ status: "ok" });

const readinessGet: Handler = async (context) => {
  await context.ready();
  return ok({ status: "ok" });
};

const documentGet: Handler = async () => ({
  status: 200,
  bytes: Buffer.from(TEXT),
  type: "application/yaml",
});

export const service = { livenessGet, readinessGet, documentGet };
