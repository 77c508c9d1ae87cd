import type { CaseMap, CaseResult, Elements, FuzzCase } from "./case.ts";
import { unpadded } from "./contents.ts";

/** Finds the first difference between the results of the kernel and of the service. */

export interface Difference {
  /** The refusal, the fault, or "values" when contents or return values differ. */
  kind: string;
  what: string;
  detail: string;
}

function runs({ run: kernel }: CaseResult, { run: service }: CaseResult): Difference | undefined {
  if (!kernel || !service) return undefined;
  const detail = `kernel ${JSON.stringify(kernel)}\nservice ${JSON.stringify(service)}`;
  if ("fault" in service)
    return { kind: `fault: ${service.fault.replace(/\d+/g, "N")}`, what: "fault", detail };
  if ("errno" in kernel || "errno" in service) {
    const same = "errno" in kernel && "errno" in service && kernel.errno === service.errno;
    return same ? undefined : { kind: "errno", what: "errno of the run", detail };
  }
  if ("fault" in kernel) return undefined;
  const part = (["retval", "data", "ctx"] as const).find((name) => kernel[name] !== service[name]);
  return (
    part && {
      kind: "values",
      what: part,
      detail: `kernel ${kernel[part]}\nservice ${service[part]}`,
    }
  );
}

function contents(map: CaseMap, kernel: Elements, service: Elements): string[] {
  if (kernel.length !== service.length || kernel.some(([key], i) => key !== service[i]?.[0])) {
    return [`kernel ${JSON.stringify(kernel)}`, `service ${JSON.stringify(service)}`];
  }
  return kernel.flatMap(([key, value], i) => {
    const [one, other] = [value, service[i]?.[1] ?? ""].map((each) => unpadded(map, each));
    return one === other ? [] : [`key ${key}`, `kernel ${one}`, `service ${other}`];
  });
}

function maps(
  { maps: all }: FuzzCase,
  kernel: CaseResult,
  service: CaseResult,
): Difference | undefined {
  for (const [place, map] of all.entries()) {
    const [one, other] = [kernel.maps?.[place], service.maps?.[place]];
    const lines = contents(map, one ?? [], other ?? []);
    if (lines.length > 0) {
      const what = `map ${place} (${map.map_type})`;
      return { kind: "values", what, detail: lines.join("\n") };
    }
  }
  return undefined;
}

/**
 * Finds a program that Linux accepts and the service refuses, or whose results differ.
 *
 * @param loose if set, results are not compared, because the program may return anything.
 */
export function difference(
  subject: FuzzCase,
  kernel: CaseResult,
  service: CaseResult,
  loose: boolean,
) {
  for (const [place, { errno }] of kernel.loads.entries()) {
    const verdict = service.loads[place];
    if (errno === 0 && verdict?.errno !== 0) {
      const last = verdict?.log?.trim().split("\n").at(-1);
      const kind = `refused: ${last?.replace(/\d+/g, "N")}`;
      const detail = `program ${place}: ${verdict?.errno} ${verdict?.log}`;
      return { kind, what: "refused by the service alone", detail };
    }
  }
  const same = kernel.loads.every(
    ({ errno }, i) => (errno === 0) === (service.loads[i]?.errno === 0),
  );
  if (!same) return undefined;
  const found = runs(kernel, service) ?? maps(subject, kernel, service);
  return loose && found?.kind === "values" ? undefined : found;
}
