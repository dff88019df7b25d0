import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { InspectedContainer } from '../engine-shapes.ts';

/** What the proxy can read about its own surroundings. */
export interface OwnSystem {
  /** @throws where there is no such file, or it can't be read. */
  readFile(path: string): Promise<string>;
  hostname(): string;
}

export const ownSystem: OwnSystem = { readFile: (path) => readFile(path, 'utf8'), hostname };

/** Files that engines lay into each of their containers. */
const MARKERS = ['/.dockerenv', '/run/.containerenv'];

/**
 * The container that this process runs in; undefined where it is no container of this engine. The engine is asked about every
 * candidate: the files may be about containers of another engine.
 */
export async function findOwnContainer(options: {
  readonly system: OwnSystem;
  /** Undefined where there is no such container. */
  readonly inspect: (container: string) => Promise<InspectedContainer | undefined>;
}): Promise<InspectedContainer | undefined> {
  const { system, inspect } = options;
  for (const id of await listOwnIds(system)) {
    const found = await inspect(id);
    if (found?.State?.Running === true) return found;
  }
  const markers = await Promise.all(MARKERS.map((path) => system.readFile(path).catch(() => undefined)));
  // Without a marker this is the host, where a container with the host's name would be taken for the proxy.
  if (markers.every((marker) => marker === undefined)) return undefined;
  const found = await inspect(system.hostname());
  const isOwn = found?.State?.Running === true && found.Config?.Hostname === system.hostname();
  return isOwn ? found : undefined;
}

/** Ids of the containers that this process may run in, the likeliest first; never rejects. */
export async function listOwnIds(system: OwnSystem): Promise<readonly string[]> {
  const read = (path: string) => system.readFile(path).catch(() => '');
  // The cgroup first: it is always the process's own. In a container that uses another one's network, the mounts name that
  // other container.
  const ids = [
    ...parseCgroup(await read('/proc/self/cgroup')),
    ...parseMountinfo(await read('/proc/self/mountinfo')),
  ];
  return [...new Set(ids)];
}

/**
 * Container ids in the text of `/proc/self/mountinfo`: engines bind three files of theirs into every container, from a
 * folder that is named after it.
 */
export function parseMountinfo(text: string): readonly string[] {
  const ids = text.split('\n').map((line) => {
    const [, , , root = '', mountPoint = ''] = line.split(' ');
    if (!/^\/etc\/(?:hostname|hosts|resolv\.conf)$/.test(mountPoint)) return undefined;
    return /\/([0-9a-f]{64})\/(?:userdata\/)?[^/]+$/.exec(root)?.[1];
  });
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/**
 * Container ids in the text of `/proc/self/cgroup`, the innermost first: `/docker/<id>`, `docker-<id>.scope`,
 * `libpod-<id>.scope` and the like. There are none where the container has a cgroup namespace of its own.
 */
export function parseCgroup(text: string): readonly string[] {
  const ids = text.split('\n').flatMap((line) => {
    const found = [...line.matchAll(/[/-]([0-9a-f]{64})(?=[./]|$)/g)].map((match) => match[1] ?? '');
    return found.reverse();
  });
  return [...new Set(ids)];
}
