import { REQUESTS } from "../checks.ts";
import { describeAnswer, FaultClient, openSession } from "../http.ts";
import { hitUnderLoad, newNamespaces } from "../load.ts";
import type { FaultScenario } from "../scenario.ts";
import { redisWorld } from "../world.ts";

/** Requests with an absolute target, as a client of a proxy sends them (RFC 9112, section 3.2.2). */

const ROUNDS = { short: 2, full: 20 };
/** What hides the host from people is refused. */
const WITH_USERINFO = "http://somebody@127.0.0.1/livez";

/** Sends every kind of request in a new session. Returns what was not answered as usual. */
async function sendAll(base: string, namespace: string): Promise<string[]> {
  const problems: string[] = [];
  const { client } = await openSession([base], namespace);
  for (const [method, path, body] of REQUESTS) {
    const answer = await client.send({ method, path, body, target: base + path });
    if (answer.fate !== "done") problems.push(`${method} ${path}: ${describeAnswer(answer)}`);
  }
  const nobody = new FaultClient([base]);
  const refused = await nobody.send({ method: "GET", path: "/", target: WITH_USERINFO });
  if (refused.status !== 400) problems.push(`${WITH_USERINFO}: ${describeAnswer(refused)}`);
  return problems;
}

const absoluteTargets: FaultScenario = {
  name: "absolute-targets",
  fault: "every kind of request with an absolute target, as a proxy gets them, beside the load",
  least: { short: { hits: 40, operations: 100 }, full: { hits: 400, operations: 1000 } },
  async run(form) {
    const world = await redisWorld();
    const problems: string[] = [];
    let sent = 0;
    const outcome = await hitUnderLoad({
      ...{ world, hits: ROUNDS[form] },
      async hit(_, round) {
        const base = world.bases[round % world.bases.length] ?? "";
        problems.push(...(await sendAll(base, newNamespaces(1)[0] ?? "")));
        sent += REQUESTS.length + 1;
      },
    });
    return { ...outcome, hits: sent, problems: [...problems, ...outcome.problems] };
  },
};

export const ABSOLUTE_TARGETS = [absoluteTargets];
