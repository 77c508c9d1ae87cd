import { type Handler, ok } from "../handler.ts";
import { KeptContent } from "../kept_content.ts";
import { type Edition, JSON_30, JSON_31, YAML_31 } from "../openapi/editions.ts";

/** The service itself: liveness, readiness and the document. */

const livenessGet: Handler = async () => ok({ status: "ok" });

const readinessGet: Handler = async (context) => {
  await context.ready();
  return ok({ status: "ok" });
};

function documentIn({ type, read }: Edition): Handler {
  const content = new KeptContent(type, read);
  return async (_context, { headers }) => content.respond(headers);
}

export const service = {
  livenessGet,
  readinessGet,
  documentGet: documentIn(YAML_31),
  documentGetJson: documentIn(JSON_31),
  documentGetVersion30: documentIn(JSON_30),
};
