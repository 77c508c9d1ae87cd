import { awaitOrder, join, leave, report } from "./participant.ts";
import { say } from "./report.ts";
import { ENTRY, GLOBALS, POLICIES, VERDICT_OF } from "./tc.ts";

/** The control process: swaps chains of two programs while packets pass through them. */

const ROUNDS = 60;
type Generation = 1 | 2;

const control = await join("control");
const fdAt = async (path: string) => (await control.open(path)).fd;
const jmp_tc = await fdAt(`${GLOBALS}/jmp_tc`);
say("control", "BPF_OBJ_GET", `${GLOBALS}/jmp_tc: fd ${jmp_tc}`);
const chain = async (generation: Generation) => ({
  classify: await fdAt(`${POLICIES}/classify_${generation}`),
  verdict: await fdAt(`${POLICIES}/verdict_${generation}`),
});
const chains = { 1: await chain(1), 2: await chain(2) };
say("control", "BPF_OBJ_GET", `${POLICIES}/{classify,verdict}_{1,2}`);

/** Puts the verdict into its slot while no program calls it; the single update of ENTRY is the swap. */
async function install(generation: Generation): Promise<void> {
  const { classify, verdict } = chains[generation];
  await control.update(jmp_tc, VERDICT_OF[generation], { fd: verdict });
  await control.update(jmp_tc, ENTRY, { fd: classify });
}

report({ opened: true });
await awaitOrder("first");
await install(1);
say("control", "BPF_MAP_UPDATE_ELEM", "jmp_tc[1] = verdict_1, then jmp_tc[0] = classify_1");
report({ swaps: 1 });

await awaitOrder("swap");
for (let round = 0; round < ROUNDS; round++) {
  await install(2);
  await install(1);
}
await install(2);
say("control", "BPF_MAP_UPDATE_ELEM", `the chain swapped ${2 * ROUNDS + 1} times, now the second`);
report({ swaps: 2 * ROUNDS + 1 });

await awaitOrder("tear");
await control.update(jmp_tc, VERDICT_OF[2], { fd: chains[1].verdict });
say("control", "BPF_MAP_UPDATE_ELEM", "jmp_tc[2] = verdict_1, under classify_2");
report({ torn: true });
await awaitOrder("mend");
await install(2);
for (const { classify, verdict } of Object.values(chains)) {
  await control.close(classify);
  await control.close(verdict);
}
say("control", "BPF_MAP_UPDATE_ELEM", "jmp_tc[2] = verdict_2; its fds on programs are closed");
report({ mended: true });

await awaitOrder("exit");
say("control", "exit", `fd ${jmp_tc}, the last user reference on jmp_tc`);
await leave(control);
