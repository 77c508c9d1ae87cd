import { kindName } from "../schema/btf_blob.ts";
import type { BtfLog } from "./btf_log.ts";
import { describeMember, describeType, describeVariable } from "./describe_type.ts";
import { type BtfErrno, BtfRefused } from "./refused.ts";
import type { BtfPart, BtfTypeRecord, TypeTable } from "./type_table.ts";

/** The state of a check (struct btf_verifier_env), with the ways to log a type and to refuse it. */

export class BtfEnv {
  readonly types: TypeTable;
  readonly log: BtfLog;
  /** The type that is being checked, which the log names. */
  typeId = 1;
  /** True in the first pass, in which the log has each type before its members. */
  isReading = true;

  constructor(types: TypeTable, log: BtfLog) {
    this.types = types;
    this.log = log;
  }

  /** btf_verifier_log_type() */
  logType(type: BtfTypeRecord, reason = ""): void {
    if (this.log.isNeeded) this.#logType(type, ` ${describeType(this.types, type)}`, reason);
  }

  #logType(type: BtfTypeRecord, details: string, reason: string): void {
    const { log, types } = this;
    log.write(`[${this.typeId}] ${kindName(type.kind)} ${types.name(type.name)}${details && " "}`);
    log.write(details.slice(1));
    if (reason !== "") log.write(` ${reason}`);
    log.write("\n");
  }

  /** btf_verifier_log_member() */
  logMember(struct: BtfTypeRecord, member: BtfPart, reason = ""): void {
    if (!this.log.isNeeded) return;
    this.#logPart(struct, describeMember(this.types, struct, member), reason);
  }

  /** btf_verifier_log_vsi() */
  logVariable(section: BtfTypeRecord, variable: BtfPart, reason = ""): void {
    if (this.log.isNeeded) this.#logPart(section, describeVariable(variable), reason);
  }

  #logPart(whole: BtfTypeRecord, part: string, reason: string): void {
    if (!this.isReading) this.logType(whole);
    this.log.write(reason === "" ? part : `${part} ${reason}`);
    this.log.write("\n");
  }

  refuseType(type: BtfTypeRecord, reason: string, errno: BtfErrno = "EINVAL"): never {
    this.logType(type, reason);
    throw new BtfRefused(errno, `type ${this.typeId}, ${kindName(type.kind)}: ${reason}`);
  }

  /** Refuses a type whose details cannot be read (btf_verifier_log_basic()). */
  refuseUnread(type: BtfTypeRecord, reason: string): never {
    if (this.log.isNeeded) this.#logType(type, "", reason);
    throw new BtfRefused("EINVAL", `type ${this.typeId}, ${kindName(type.kind)}: ${reason}`);
  }

  refuseMember(struct: BtfTypeRecord, member: BtfPart, reason: string): never {
    this.logMember(struct, member, reason);
    const name = JSON.stringify(this.types.name(member.first));
    throw new BtfRefused("EINVAL", `type ${this.typeId}, member ${name}: ${reason}`);
  }

  refuseVariable(section: BtfTypeRecord, variable: BtfPart, reason: string): never {
    this.logVariable(section, variable, reason);
    const place = `variable of type ${variable.first}`;
    throw new BtfRefused("EINVAL", `type ${this.typeId}, ${place}: ${reason}`);
  }

  /** Refuses with a line that names no type. */
  refuse(reason: string, errno: BtfErrno = "EINVAL"): never {
    this.log.write(reason);
    throw new BtfRefused(errno, reason.trim());
  }
}
