/** Images made of this machine's own programs: no registry is needed, and they are there within seconds. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import Docker from 'dockerode';
import { hasImage, importOnce } from '../../support/images/import-image.mjs';
import {
  BUSYBOX,
  hasStaticBusybox,
  listBusyboxEntries,
  listNodeEntries,
} from '../../support/images/root-files.mjs';
import { engineAddress, engineHost } from './engine-address.ts';

/** Where no static busybox is at hand. */
const PULLED_BUSYBOX = 'busybox:1.36';

let busyboxHash: Promise<string> | undefined;

/** An image with a shell and the usual small programs (`sh`, `httpd`, `nc`, `sleep` …); built once per engine. */
export async function busyboxImage(host: string = engineHost()): Promise<string> {
  if (!(await hasStaticBusybox())) return await pullBusybox(host);
  busyboxHash ??= readFile(BUSYBOX).then((content) => createHash('sha256').update(content).digest('hex'));
  const name = `lazy-proxy-test/busybox:${(await busyboxHash).slice(0, 12)}`;
  return await importOnce(host, { name, listEntries: listBusyboxEntries });
}

/** An image with this machine's `node` beside busybox (where that is at hand); built once per engine. */
export async function nodeImage(host: string = engineHost()): Promise<string> {
  const hash = createHash('sha256').update(`${process.version} ${process.arch} ${process.execPath}`);
  const name = `lazy-proxy-test/node:${hash.digest('hex').slice(0, 12)}`;
  return await importOnce(host, { name, listEntries: listNodeEntries });
}

async function pullBusybox(host: string): Promise<string> {
  if (await hasImage(host, PULLED_BUSYBOX)) return PULLED_BUSYBOX;
  const docker = new Docker(engineAddress(host));
  const progress = await docker.pull(PULLED_BUSYBOX);
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error: Error | null) => (error ? reject(error) : resolve()));
  });
  return PULLED_BUSYBOX;
}
