import { formOf, type ValueBody } from "../forms.ts";
import { done, type Handler, ok, pathNumber, query, revised } from "../handler.ts";

/** Maps without keys: the commands on elements with a null pointer for the key. */

const NO_KEY = Buffer.alloc(0);

const mapPush: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const { value, flags = 0 } = req.body as { value: ValueBody; flags?: number };
  const form = await formOf(context, asked);
  const element = { key: NO_KEY, value: form.value(value, "/body/value") };
  const fd = pathNumber(req, "fd");
  const { revision } = await kernel.mapUpdateElem(call, fd, element, flags, "");
  return { ...done, headers: revised(revision) };
};

const mapPop: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const { flags = 0 } = (req.body ?? {}) as { flags?: number };
  const form = await formOf(context, asked);
  const value = await kernel.mapLookupAndDeleteElem(call, pathNumber(req, "fd"), NO_KEY, flags, "");
  return ok({ value: form.showValue(value) });
};

const mapPeek: Handler = async (context, asked) => {
  const { req, call } = asked;
  const { kernel } = context;
  const text = query<string | undefined>(req, "value");
  const form = await formOf(context, asked);
  const value = text === undefined ? undefined : form.valueText(text, "/query/value");
  const how = { flags: query<number>(req, "flags"), value };
  const found = await kernel.mapLookupElem(call, pathNumber(req, "fd"), NO_KEY, how);
  return ok({ value: form.showValue(found.value) });
};

export const queues = { mapPush, mapPop, mapPeek };
