import { expect, it } from "vitest";
import { testService } from "../support/service.ts";

/** A session by its id, as the list shows it. */

const service = await testService();

it("a session by its id is what the list shows, to any session of the namespace", async () => {
  const namespace = service.namespace();
  const root = await service.session(namespace, { label: "daemon" });
  const user = await service.session(namespace, { uid: 1000 });
  const { status, body } = await user.get(`/v1/sessions/${root.id}`);
  expect(status).toBe(200);
  expect(body).toMatchObject({ id: root.id, namespace, label: "daemon", uid: 0 });
  const { sessions } = (await user.get("/v1/sessions")).body;
  const fields = ({ expires_at: _, ...rest }: Record<string, unknown>) => rest;
  expect(fields(body)).toEqual(fields(sessions[0]));
  expect((await user.get(`/v1/sessions/${user.id}`)).body).toEqual(
    (await user.get("/v1/session")).body,
  );
});

it("an unknown session and one of another namespace are ESRCH", async () => {
  const session = await service.session(service.namespace());
  const other = service.namespace();
  await service.session(other);
  const { id } = await service.session(other);
  for (const unknown of [0, id, 4294967295]) {
    const { status, body } = await session.get(`/v1/sessions/${unknown}`);
    expect([status, body.errno]).toEqual([404, "ESRCH"]);
    expect(body).not.toHaveProperty("reason");
  }
});

it.each([
  ["exited", "/v1/session"],
  ["killed", ""],
])("a session that has %s is ESRCH with the reason, while that is known", async (reason, own) => {
  const namespace = service.namespace();
  const session = await service.session(namespace);
  const ended = await service.session(namespace);
  await (own === "" ? session.del(`/v1/sessions/${ended.id}`) : ended.del(own));
  const { status, body } = await session.get(`/v1/sessions/${ended.id}`);
  expect([status, body.errno, body.reason]).toEqual([404, "ESRCH", reason]);
});
