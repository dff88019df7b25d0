import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** How an editor saves: in place, by renaming a new file over it, or by deleting it first. */
export type EditStyle = 'overwrite' | 'rename' | 'recreate';

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
      const target = style === 'rename' ? path.join(folder, '.lazy-proxy.yaml.new') : configFile;
      if (style === 'recreate') await rm(configFile, { force: true });
      await writeFile(target, newText);
      if (style === 'rename') await rename(target, configFile);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
