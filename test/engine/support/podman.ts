import { existsSync } from 'node:fs';

const PROGRAMS = ['/usr/bin/podman', '/usr/lib/podman/netavark', '/usr/sbin/runc', '/bin/busybox'];

/** Why no Podman of our own can be started here; undefined where it can. */
export function whyNoPodman(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  const missing = PROGRAMS.find((program) => !existsSync(program));
  return missing === undefined ? undefined : `it needs ${missing}`;
}
