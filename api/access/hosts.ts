/**
 * The names under which the service answers. A page whose name an attacker points at this machine (DNS
 * rebinding) sends that name as its Host.
 */

/** A name or an address without userinfo, and a port. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{0,5})?$/i;

/** The last are 127.0.0.0/8 in IPv6. */
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])$/;

/** The name of a Host without its port, as browsers write it (127.1 is 127.0.0.1); undefined for no host. */
export function hostName(host: string): string | undefined {
  if (!HOST.test(host)) return undefined;
  try {
    return new URL(`http://${host}`).hostname.replace(/\.$/, "");
  } catch {
    return undefined;
  }
}

/** Returns a check of Host headers: names of loopback, and those given, are allowed. */
export function createHostCheck(names: readonly string[]): (host: string) => boolean {
  const allowed = new Set(names);
  // Most requests repeat the Host of the one before.
  let last: string | undefined;
  return (host) => {
    if (host === last) return true;
    const name = hostName(host);
    const isAllowed = name !== undefined && (LOOPBACK.test(name) || allowed.has(name));
    if (isAllowed) last = host;
    return isAllowed;
  };
}
