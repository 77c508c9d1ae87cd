import { recordName } from "../../domain/bpf.ts";
import { type ApiKey, checkAdmin, recordOwner } from "../api_keys.ts";
import {
  type Handler,
  type HandlerRequest,
  idempotencyKey,
  noContent,
  ok,
  query,
  type ServiceContext,
} from "../handler.ts";

/** Namespaces as a whole: list, show and delete them, for API keys with the right `admin`. */

const EVERY = ["*"];

/** Undefined on a service without keys, where everybody may. @throws 401, 403 */
function checkedKey(
  { keys }: ServiceContext,
  { headers }: HandlerRequest,
  namespace?: string,
): ApiKey | undefined {
  const key = keys?.find(headers["x-api-key"] as string | undefined);
  if (key) checkAdmin(key, namespace);
  return key;
}

const nameOf = ({ params }: HandlerRequest) => params.namespace as string;

const namespaceList: Handler = async (context, request) => {
  const { kernel } = context;
  const patterns = checkedKey(context, request)?.namespaces ?? EVERY;
  return ok(
    await kernel.namespaceList(patterns, query(request, "cursor"), query(request, "limit")),
  );
};

const namespaceGet: Handler = async (context, request) => {
  const { kernel } = context;
  const namespace = nameOf(request);
  checkedKey(context, request, namespace);
  return ok(await kernel.namespaceGet({ ...request.call, namespace }));
};

const namespaceDelete: Handler = async (context, request) => {
  const { kernel } = context;
  const namespace = nameOf(request);
  const key = checkedKey(context, request, namespace);
  const record = recordName(recordOwner(key), idempotencyKey(request));
  const left = await kernel.namespaceDelete({ ...request.call, namespace, record });
  return left ? { status: 202, body: left } : noContent;
};

export const namespaces = { namespaceList, namespaceGet, namespaceDelete };
