import type { Handler } from "../handler.ts";
import { batches } from "./batch.ts";
import { btfs } from "./btf.ts";
import { elems } from "./elem.ts";
import { elf } from "./elf.ts";
import { fds } from "./fd.ts";
import { fs } from "./fs.ts";
import { listings } from "./listing.ts";
import { maps } from "./map.ts";
import { namespaces } from "./namespace.ts";
import { page } from "./page.ts";
import { progs } from "./prog.ts";
import { queues } from "./queue.ts";
import { rings } from "./ring.ts";
import { runs } from "./run.ts";
import { service } from "./service.ts";
import { sessions } from "./session.ts";
import { tickets } from "./ticket.ts";

/** operationId -> handler. */
export const handlers: Record<string, Handler> = {
  ...sessions,
  ...namespaces,
  ...tickets,
  ...fds,
  ...maps,
  ...elems,
  ...queues,
  ...batches,
  ...rings,
  ...progs,
  ...btfs,
  ...listings,
  ...elf,
  ...runs,
  ...fs,
  ...page,
  ...service,
};
