import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * How a file is saved: in place, by renaming a new one over it, by deleting it first, or as a ConfigMap is updated: in
 * a new folder behind the link `..data`, which is swapped.
 */
export type EditStyle = 'overwrite' | 'rename' | 'recreate' | 'swap';

export interface ConfigFolder {
  readonly folder: string;
  readonly configFile: string;
  edit(text: string, style?: EditStyle): Promise<void>;
  remove(): Promise<void>;
}

/** A temporary folder with a `lazy-proxy.yaml`, or without one where `text` is undefined. */
export async function createConfigFolder(text?: string): Promise<ConfigFolder> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-config-'));
  const configFile = path.join(folder, 'lazy-proxy.yaml');
  if (text !== undefined) await writeFile(configFile, text);
  return {
    folder,
    configFile,
    async edit(newText, style = 'overwrite') {
      if (style === 'swap') return swapData(configFile, newText);
      const target = style === 'rename' ? path.join(folder, '.lazy-proxy.yaml.new') : configFile;
      if (style === 'recreate') await rm(configFile, { force: true });
      await writeFile(target, newText);
      if (style === 'rename') await rename(target, configFile);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function swapData(configFile: string, text: string): Promise<void> {
  const folder = path.dirname(configFile);
  const version = await mkdtemp(path.join(folder, '..v'));
  await writeFile(path.join(version, path.basename(configFile)), text);
  await placeLink(path.join(folder, '..data'), path.basename(version));
  await placeLink(configFile, path.join('..data', path.basename(configFile)));
}

/** Atomically, also over what is there. */
async function placeLink(link: string, target: string): Promise<void> {
  const temporary = `${link}_tmp`;
  await symlink(target, temporary);
  await rename(temporary, link);
}
