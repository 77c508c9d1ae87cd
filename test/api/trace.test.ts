import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { sendProblem } from "../../api/errors/error_to_problem.ts";
import { type RequestIds, traceId } from "../../api/trace.ts";
import { expectProblem, raw } from "../support/raw.ts";
import { testService } from "../support/service.ts";

/** W3C Trace Context: a well-formed traceparent joins a problem and its log line to a trace. */

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

it.each([
  `00-${ID}-${PARENT}-01`,
  `00-${ID}-${PARENT}-00`,
  `00-${ID}-${PARENT}-ff`,
  `cc-${ID}-${PARENT}-01`,
  `cc-${ID}-${PARENT}-01-more`,
])("the trace id of the traceparent %s is taken", (traceparent) => {
  expect(traceId({ headers: { traceparent } })).toBe(ID);
});

const WRONG = [
  "",
  ID,
  `00-${ID}-${PARENT}`,
  `00-${ID}-${PARENT}-1`,
  `00-${ID}-${PARENT}-01-more`,
  `ff-${ID}-${PARENT}-01`,
  `cc-${ID}-${PARENT}-01.more`,
  `00-${ID.toUpperCase()}-${PARENT}-01`,
  `00-${"0".repeat(32)}-${PARENT}-01`,
  `00-${ID}-${"0".repeat(16)}-01`,
  `00-${ID}-${PARENT}-01, 00-${ID}-${PARENT}-01`,
  ` 00-${ID}-${PARENT}-01`,
  `00-${ID}-${PARENT}-01\u001b[31m`,
];

it("an ill-formed traceparent is ignored, as the standard says", () => {
  for (const traceparent of WRONG) {
    expect(traceId({ headers: { traceparent } }), traceparent).toBeUndefined();
  }
});

const fast = await testService(undefined, {}, "on");
const general = await testService(undefined, {}, "off");

it("a problem has the trace id of its request, on both paths", async () => {
  for (const service of [fast, general]) {
    const { token } = await service.session(service.namespace());
    const headers = { authorization: `Bearer ${token}`, traceparent: `00-${ID}-${PARENT}-01` };
    const answer = await raw(service.base, "GET", "/v1/fds/9", headers);
    expect(expectProblem(answer, "with a traceparent")).toMatchObject({
      status: 404,
      trace_id: ID,
    });
    const without = await raw(service.base, "GET", "/v1/fds/9", { ...headers, traceparent: "x" });
    expect(without.status).toBe(404);
    expect(expectProblem(without, "with a wrong one")).not.toHaveProperty("trace_id");
  }
});

it("the log of a fault gets the request id and the trace id", async () => {
  const logged: RequestIds[] = [];
  const server = createServer((req, res) => {
    res.setHeader("x-request-id", "r1");
    sendProblem(new Error("a fault"), req, res, (_error, ids) => logged.push(ids));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const traceparent of [`00-${ID}-${PARENT}-01`, "x"]) {
    expect((await fetch(base, { headers: { traceparent } })).status).toBe(500);
  }
  expect(logged).toEqual([{ request_id: "r1", trace_id: ID }, { request_id: "r1" }]);
  server.closeAllConnections();
  server.close();
});
