import type { RegisterValue, ValueKind } from "../state/value.ts";
import { type AccessibleField, allows, field } from "./context_field.ts";

/** The fields of struct bpf_sock, bpf_tcp_sock and bpf_xdp_sock (bpf_sock_is_valid_access). */

/** Without the fields that only a full socket has. */
const SOCK_COMMON: readonly AccessibleField[] = [
  field(0, 4, "words"),
  field(4, 4, "head"),
  field(24, 20),
  field(44, 4, "head"),
  field(48, 4, "whole"),
  field(48, 2),
  field(52, 20),
  field(72, 4, "head"),
  field(76, 4, "head"),
];

export const SOCK: readonly AccessibleField[] = [
  ...SOCK_COMMON,
  field(8, 4, "head"),
  field(12, 4, "head"),
  field(16, 8, "words"),
];

const TCP_SOCK: readonly AccessibleField[] = [
  field(0, 80, "words"),
  field(80, 8, "whole"),
  field(88, 8, "whole"),
  field(96, 16, "words"),
];

const FIELDS: Readonly<Partial<Record<ValueKind, readonly AccessibleField[]>>> = {
  sock_common: SOCK_COMMON,
  sock: SOCK,
  tcp_sock: TCP_SOCK,
  xdp_sock: [field(0, 4, "words")],
};

export const isSock = ({ kind }: RegisterValue): boolean => FIELDS[kind] !== undefined;

export function isSockField({ kind }: RegisterValue, off: number, size: number): boolean {
  return FIELDS[kind]?.some((one) => allows(one, off, size, false)) === true;
}
