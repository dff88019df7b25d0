/** A real DNS server to wake: this machine's dnsmasq. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { importOnce } from '../../support/images/import-image.mjs';
import { listBareEntries } from '../../support/images/root-files.mjs';
import { engineHost } from './engine-address.ts';

const DNSMASQ = '/usr/sbin/dnsmasq';

/** Why there is no DNS server to test with; undefined where there is one. */
export function whyNoDnsmasq(): string | undefined {
  return existsSync(DNSMASQ) ? undefined : `there is no ${DNSMASQ} (Debian: dnsmasq-base)`;
}

/**
 * Image and command of a container that answers DNS queries at port 53.
 * @param records the IPv4 address of each name.
 */
export async function dnsmasqApp(
  records: Readonly<Record<string, string>>,
): Promise<{ image: string; cmd: readonly string[] }> {
  const hosts = Object.entries(records).map(([name, address]) => `--host-record=${name},${address}`);
  const settings = ['--conf-file=/dev/null', '--no-hosts', '--no-resolv', '--user=root', '--pid-file'];
  return { image: await dnsmasqImage(), cmd: ['dnsmasq', '--keep-in-foreground', ...settings, ...hosts] };
}

async function dnsmasqImage(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(DNSMASQ));
  return await importOnce(engineHost(), {
    name: `lazy-proxy-test/dnsmasq:${hash.digest('hex').slice(0, 12)}`,
    listEntries: () => listBareEntries('/bin/dnsmasq', DNSMASQ),
  });
}
