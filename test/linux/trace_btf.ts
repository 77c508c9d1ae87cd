import type { TestReply } from "../support/service.ts";
import type { Player, TraceStep } from "./trace.ts";

/** The parts of steps and answers that are about BTF. */

/** func_info and line_info of a load; a null pointer is no records. */
export function infoRecords(player: Player, step: TraceStep, proc: string): object {
  const fields: Record<string, unknown> = {};
  if (step.btf_fd !== undefined) fields.prog_btf_fd = player.symbol(proc, step.btf_fd).fd;
  for (const name of ["func_info", "line_info"]) {
    const isNull = step[`${name}_null`] === true;
    if (!isNull && step[name] !== undefined) fields[name] = step[name];
    for (const field of [`${name}_rec_size`, `${name}_cnt`]) {
      if (step[field] !== undefined) fields[field] = step[field];
    }
  }
  return fields;
}

/** The sizes of records that Linux wrote back. */
export function knownRecordSizes({ body }: TestReply): object {
  const { func_info_rec_size, line_info_rec_size } = body ?? {};
  return {
    ...(func_info_rec_size === undefined ? {} : { func_info_rec_size }),
    ...(line_info_rec_size === undefined ? {} : { line_info_rec_size }),
  };
}

/** The room of BPF_OBJ_GET_INFO_BY_FD as a query. */
export function roomQuery(step: TraceStep): string {
  const { room, func_room, line_room, func_rec, line_rec } = step;
  const given = {
    btf_size: room,
    nr_func_info: func_room,
    func_info_rec_size: func_rec,
    nr_line_info: line_room,
    line_info_rec_size: line_rec,
  };
  const words = Object.entries(given).filter(([, value]) => value !== undefined);
  return words.length === 0 ? "" : `?${words.map((word) => word.join("=")).join("&")}`;
}

export function mapBtf(player: Player, body: TestReply["body"]): object {
  if (body.btf_id === undefined) return {};
  const btf = player.named("btf", body.btf_id)?.name;
  return { btf, key_type: body.btf_key_type_id, value_type: body.btf_value_type_id };
}

/** Linux has as many addresses of machine code as lines; this service has none. */
export function progBtf(player: Player, step: TraceStep, body: TestReply["body"]): object {
  const { func_room, line_room, func_rec, line_rec } = step;
  const isAsked = [func_room, line_room, func_rec, line_rec].some((room) => room !== undefined);
  if (body.btf_id === undefined && !isAsked) return {};
  const { nr_func_info = 0, nr_line_info = 0 } = body;
  return {
    btf: player.named("btf", body.btf_id)?.name ?? null,
    ...{ nr_func_info, nr_line_info, nr_jited_line_info: nr_line_info },
    ...{ func_info_rec_size: 8, line_info_rec_size: 16, jited_line_info_rec_size: 8 },
    ...(func_room === undefined ? {} : { func_info: body.func_info ?? "" }),
    ...(line_room === undefined ? {} : { line_info: body.line_info ?? "" }),
  };
}

/** A buffer that is longer than the BTF keeps its zeros. */
export function btfInfo(player: Player, step: TraceStep, body: TestReply["body"]) {
  const { kind, id, btf_size, name, kernel_btf, btf = "" } = body;
  const filled = Buffer.alloc(step.room ?? 0);
  Buffer.from(btf, "base64").copy(filled);
  return {
    ...{ kind, obj: player.named("btf", id)?.name, btf_size, name },
    kernel_btf: Number(kernel_btf),
    ...(step.room === undefined ? {} : { btf: filled.toString("base64") }),
    ...(step.name_room === undefined ? {} : { name_len: name.length }),
  };
}
