/** Who may use the service besides programs with the right credentials; set at the start. */
export interface AccessRules {
  /** Names beside those of loopback that a Host may have; undefined: every Host is answered. */
  hosts: readonly string[] | undefined;
  /** Origins whose pages may use the service. */
  corsOrigins: readonly string[];
  /** True if requests of pages of other origins are refused. */
  refusesOrigins: boolean;
}

/** The rules with or without API keys. A list of hosts counts even with keys. */
export function accessRules(
  hasKeys: boolean,
  hosts: readonly string[] = [],
  corsOrigins: readonly string[] = [],
): AccessRules {
  const isOpen = hasKeys && hosts.length === 0;
  return { hosts: isOpen ? undefined : hosts, corsOrigins, refusesOrigins: !hasKeys };
}
