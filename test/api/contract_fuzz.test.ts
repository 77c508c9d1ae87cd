import { expect, it } from "vitest";
import { routes } from "../../api/openapi/openapi.ts";
import type { ContractRequest } from "../support/contract/examples.ts";
import { type ContractAnswer, exchange } from "../support/contract/exchange.ts";
import { faultOf } from "../support/contract/judge.ts";
import { RequestMaker } from "../support/contract/requests.ts";
import { routeOf, TOUR_START, type TourStep, takeTour } from "../support/contract/tour.ts";
import { type Learned, ValueMaker } from "../support/contract/values.ts";
import { Dice } from "../support/random.ts";
import { testService } from "../support/service.ts";

/**
 * Requests made from the document alone, right and wrong, in sessions that they change and end. Every
 * answer is one that the document describes, and each operation succeeds at least once.
 */

const SEED = Number(process.env.CONTRACT_SEED ?? 1);
const REQUESTS = Number(process.env.CONTRACT_RUNS ?? 8000);
const LANES = 4;
const ROUND = 250;

const service = await testService();
const counts = new Map<string, Map<number, number>>();
const faults: string[] = [];

async function send(operationId: string, request: ContractRequest): Promise<ContractAnswer> {
  const answer = await exchange(service.base, request);
  const { status } = answer;
  const row = counts.get(operationId) ?? new Map<number, number>();
  counts.set(operationId, row.set(status, (row.get(status) ?? 0) + 1));
  const fault = faultOf(routeOf(operationId), answer);
  if (fault) {
    const { method, path, headers, body = "" } = request;
    const { authorization: _token, ...rest } = headers;
    const sent = `${method} ${path} ${JSON.stringify(rest)} ${body}`;
    faults.push(`${operationId}: ${sent.slice(0, 600)}: ${fault.slice(0, 600)}`);
  }
  return answer;
}

/** Keeps the last values of each name that answers have had. */
class AnswerMemory implements Learned {
  readonly #values = new Map<string, unknown[]>();
  readonly #dice: Dice;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  learn(value: unknown, name = ""): void {
    if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value))
        this.learn(item, Array.isArray(value) ? name : key);
    } else if (name) {
      this.#values.set(name, [...(this.#values.get(name) ?? []).slice(-9), value]);
    }
  }

  recall(name: string): unknown {
    const values = this.#values.get(name) ?? this.#values.get(name.replace(/^.*_/, ""));
    return values && this.#dice.from(values);
  }
}

/** Operations that take so much away that the rest of a round would only fail. */
const RARE = ["sessionExit", "sessionKill", "sessionUpdate", "fdClose", "mapFreeze"];

function nextRoute(dice: Dice) {
  const route = dice.from(routes);
  return RARE.includes(route.operation.operationId) && !dice.oneIn(4) ? dice.from(routes) : route;
}

/** @returns how many random requests it sent until the session had ended, at most `ROUND` */
async function round(namespace: string, dice: Dice): Promise<number> {
  const memory = new AnswerMemory(dice);
  const maker = new RequestMaker(dice, new ValueMaker(dice, memory));
  const visit = async (operationId: string, request: ContractRequest) => {
    const answer = await send(operationId, request);
    if (answer.mediaType === "application/json") memory.learn(JSON.parse(answer.body.toString()));
    return answer;
  };
  const start = (step: TourStep, request: ContractRequest) => visit(step.operationId, request);
  const token = await takeTour(namespace, start, TOUR_START);
  for (let sent = 1; sent <= ROUND; sent++) {
    const route = nextRoute(dice);
    const authorization = dice.oneIn(100) ? "Bearer x" : `Bearer ${token}`;
    const request = maker.request(route, { authorization });
    const { status } = await visit(route.operation.operationId, request);
    if (status === 410) return sent;
  }
  return ROUND;
}

/** Lanes run at the same time, each in a namespace of its own and with a seed of its own. */
async function lane(dice: Dice): Promise<void> {
  const namespace = service.namespace();
  await takeTour(namespace, (step, request) => send(step.operationId, request));
  for (let sent = 0; sent < REQUESTS / LANES; ) sent += await round(namespace, dice);
}

it(`${REQUESTS} requests made from the document get answers that it describes`, async () => {
  const began = performance.now();
  await Promise.all(Array.from({ length: LANES }, (_, i) => lane(new Dice(SEED + i))));
  const rows = [...counts].map(([id, row]) => {
    const statuses = [...row].sort(([a], [b]) => a - b);
    return `${id} ${statuses.map(([status, n]) => `${status}: ${n}`).join(", ")}`;
  });
  process.stdout.write(
    `CONTRACT_SEED=${SEED}, ${performance.now() - began} ms\n${rows.join("\n")}\n`,
  );
  expect(faults.slice(0, 20)).toEqual([]);
  const succeeded = (id: string) => [...(counts.get(id) ?? [])].some(([status]) => status < 300);
  const ids = routes.map(({ operation }) => operation.operationId);
  expect(ids.filter((id) => !succeeded(id))).toEqual([]);
}, 600_000);
