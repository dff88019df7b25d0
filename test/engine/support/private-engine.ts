import { existsSync } from 'node:fs';
import path from 'node:path';

const PROGRAMS = ['dockerd', '/bin/busybox'];

/** Why no engine of our own can be started here; undefined where it can. */
export function whyNoPrivateEngine(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  const missing = PROGRAMS.find((program) => !isInstalled(program));
  return missing === undefined ? undefined : `it needs ${missing}`;
}

function isInstalled(program: string): boolean {
  const folders = path.isAbsolute(program) ? [''] : (process.env['PATH'] ?? '').split(path.delimiter);
  return folders.some((folder) => existsSync(path.join(folder, program)));
}
