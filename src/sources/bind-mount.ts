import { readFile, realpath } from 'node:fs/promises';

/**
 * Whether a file is a mount point itself (`docker run -v ./lazy-proxy.yaml:/config.yaml`). Such a mount goes on showing
 * the old file when an editor replaces it by a rename. False where the system can't tell.
 */
export async function isMountedAlone(path: string): Promise<boolean> {
  try {
    const [mounts, real] = await Promise.all([readFile('/proc/self/mountinfo', 'utf8'), realpath(path)]);
    return findMountPoints(mounts).has(real);
  } catch {
    return false;
  }
}

/** The mount points that a mountinfo file lists; white space in them is written in octal. Pure. */
export function findMountPoints(mountinfo: string): ReadonlySet<string> {
  const points = mountinfo.split('\n').map((line) => line.split(' ')[4] ?? '');
  return new Set(
    points.map((point) =>
      point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    ),
  );
}
