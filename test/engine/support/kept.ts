import { expect } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { httpdCommand } from './apps.ts';
import { get, getJson } from './http.ts';
import { getStatus, type TestBed } from './test-bed.ts';
import { waitUntil } from './wait-until.ts';

/** A container that was started with `--rm` idles beside another one that is put to sleep, and is kept. */
export async function expectKept(bed: TestBed): Promise<void> {
  const [keptPort = 0, otherPort = 0] = await freePorts(2);
  const createApp = (name: string, port: number, autoRemove: boolean) => {
    const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '1s' });
    return bed.scope.createContainer({ name: bed.scope.name(name), labels, cmd: httpdCommand(), autoRemove });
  };
  const kept = await createApp('kept', keptPort, true);
  const other = await createApp('other', otherPort, false);
  const proxy = await bed.startProxy();
  await get(keptPort);
  await get(otherPort);
  const reason = 'it was started with --rm, so that stopping it would remove it';
  await waitUntil(async () => (await other.state()) === 'exited', {
    timeoutMs: 15_000,
    what: 'the other’s stop',
  });
  const warning = await proxy.waitForLog('stays-awake');
  expect(warning).toMatchObject({ level: 'warn', msg: `${kept.name} is not put to sleep: ${reason}` });
  expect(await kept.state()).toBe('running');
  expect((await get(keptPort)).body).toBe('hello');
  const row = await getStatus(proxy, { service: kept.name, port: keptPort });
  expect(row).toMatchObject({ state: 'ready', error: `not put to sleep: ${reason}` });
  const problems = await getJson<{ readonly code: string }[]>(`${proxy.statusUrl}/problems`);
  expect(problems.filter(({ code }) => code === 'stays-awake')).toHaveLength(1);
}
