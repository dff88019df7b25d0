/** What the API tells of containers that processes don't have. */
import { expect, test } from 'vitest';
import type { ServiceAnswer } from '../../src/status/api/answers.ts';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { get, getJson } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { expectSteeredByCommands } from './support/steer-by-command.ts';
import { openTestBed, untilSeenAsleep } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

async function ask(proxy: ProxyProcess, query = ''): Promise<ReadonlyMap<string, ServiceAnswer>> {
  const services = await getJson<readonly ServiceAnswer[]>(`${proxy.statusUrl}/api/services${query}`);
  return new Map(services.map((service) => [service.name, service]));
}

test('the API tells the Compose project of a container, asleep, awake and made anew', async () => {
  const bed = await openTestBed();
  const port = await freePort();
  const [name, other] = [bed.scope.name('web'), bed.scope.name('other')];
  const create = (project: string) =>
    bed.scope.createContainer({
      name,
      cmd: httpdCommand(),
      labels: { 'com.docker.compose.project': project },
    });
  const container = await create('media');
  await bed.scope.createContainer({ name: other, cmd: httpdCommand() });
  const proxy = await bed.startProxy({
    services: {
      web: { container: name, ports: [`${port}:80`] },
      other: { container: other, ports: [`${await freePort()}:80`] },
    },
  });
  for (const service of ['web', 'other']) await untilSeenAsleep(proxy, service);
  const projectOf = async (service: string) => (await ask(proxy)).get(service)?.project;
  expect([await projectOf('web'), await projectOf('other')]).toEqual(['media', undefined]);
  await get(port);
  expect(await projectOf('web')).toBe('media');
  await container.remove();
  await waitUntil(async () => (await ask(proxy)).get('web')?.state === 'missing');
  await create('films');
  await waitUntil(async () => (await projectOf('web')) === 'films');
});

test('the API remembers what a container took of memory before it slept, if somebody had looked', async () => {
  const bed = await openTestBed();
  const ports = [await freePort(), await freePort()];
  const names = [bed.scope.name('seen'), bed.scope.name('unseen')];
  for (const name of names) await bed.scope.createContainer({ name, cmd: httpdCommand() });
  const services = Object.fromEntries(
    names.map((container, index) => [
      index === 0 ? 'seen' : 'unseen',
      { container, ports: [`${ports[index]}:80`], idle_timeout: '2s' },
    ]),
  );
  const proxy = await bed.startProxy({ services });
  await get(ports[0] ?? 0);
  const awake = (await ask(proxy, '?memory=true')).get('seen')?.memory?.bytes ?? 0;
  expect(awake).toBeGreaterThan(50_000);
  await waitUntil(async () => (await ask(proxy)).get('seen')?.life === 'asleep');
  await get(ports[1] ?? 0);
  await waitUntil(async () => (await ask(proxy)).get('unseen')?.life === 'asleep');
  const asleep = await ask(proxy, '?memory=true');
  expect(asleep.get('seen')?.memory).toEqual({ last_bytes: awake });
  expect(asleep.get('unseen')?.memory).toBeUndefined();
});

test('the commands wake, hold and release a container, explain it, and put it to sleep', async () => {
  const bed = await openTestBed();
  const [port, token] = [await freePort(), 'a-token-of-this-test'];
  const container = await bed.scope.createContainer({ name: bed.scope.name('web'), cmd: httpdCommand() });
  const proxy = await bed.startProxy({
    services: { web: { container: container.name, ports: [`${port}:80`], idle_timeout: '1s' } },
    env: { LAZY_PROXY_TOKEN: token },
  });
  await expectSteeredByCommands({
    ...{ proxy, token, service: 'web', port },
    isUp: async () => (await container.inspect()).State.Running,
  });
});
