/** Escapes a reference token of a JSON pointer (RFC 6901). */
export const escapePointer = (name: string | number) =>
  String(name).replaceAll("~", "~0").replaceAll("/", "~1");
