import { type Handler, ok } from "../handler.ts";
import { type Edition, JSON_30, JSON_31, YAML_31 } from "../openapi/editions.ts";

/** The service itself: liveness, readiness and the document. */

const livenessGet: Handler = async () => ok({ status: "ok" });

const readinessGet: Handler = async (context) => {
  await context.ready();
  return ok({ status: "ok" });
};

const documentIn =
  ({ type, read }: Edition): Handler =>
  async () => ({ status: 200, bytes: read(), type });

export const service = {
  livenessGet,
  readinessGet,
  documentGet: documentIn(YAML_31),
  documentGetJson: documentIn(JSON_31),
  documentGetVersion30: documentIn(JSON_30),
};
