import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ListenerStatus } from '../../src/apply/listener-set.ts';
import type { WorkloadLabels } from '../../src/config/labels.ts';
import type { ResolvedSettings } from '../../src/config/resolve-settings.ts';
import { formatProblem } from '../../src/model/problem.ts';
import type { Service } from '../../src/model/service.ts';
import type { TableEntry } from '../../src/model/table.ts';
import { NO_WEB } from '../../src/model/web.ts';
import type { Runtime } from '../../src/proxy/runtime.ts';
import {
  collectWorkloadProblems,
  findForbiddenUrls,
  findUnboundFronts,
} from '../../src/proxy/workload-problems.ts';
import { createContainerEvent } from '../../src/status/webhook-event.ts';
import { WebhookSender } from '../../src/status/webhook-sender.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { LabelUrlGuard } from '../../src/system/net/label-url-guard.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aService, aTable, aUrl, aWebhook } from '../support/builders.ts';
import { MISSING, RUNNING, STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';

let bench: Bench;
let sender: WebhookSender;
const guard = new LabelUrlGuard({ engines: [], statusPort: undefined });
const explainUrl = (url: string) => guard.explainUrl(url);
beforeEach(() => {
  bench = new Bench();
  sender = new WebhookSender({
    ...{ clock: bench.clock, logger: silentLogger, checkLabelUrl: guard.check },
    checkUrl: () => ({ reason: 'it is somewhere else', isExpected: false }),
  });
});
afterEach(async () => {
  sender.close();
  expect(await bench.close()).toBe(0);
});
const collect = (services: readonly Service[], status: () => Partial<ListenerStatus> = () => ({})) =>
  collectWorkloadProblems(
    aTable(services),
    {
      lifecycle: bench.lifecycle,
      sender,
      listeners: { status } as unknown as Runtime['listeners'],
    },
    explainUrl,
  ).map(formatProblem);

test('a start that has failed is a problem until one works', async () => {
  const service = aService({ startTimeoutMs: 4_000 });
  bench.add(service, STOPPED);
  expect(collect([service])).toEqual([]);
  const port = await freePort();
  const client = bench.client('db', port);
  client.served.catch(() => {});
  await bench.backend.called(1);
  bench.backend.last.fail('no such image', STOPPED);
  await settle();
  expect(collect([service])).toEqual([
    expect.stringMatching(/^container db warning service db did not become ready: .*no such image/),
  ]);
});

test('a service that can not be put to sleep is a problem', async () => {
  const service = aService();
  bench.add(service, RUNNING);
  bench.backend.tell('docker/db', RUNNING);
  await settle();
  bench.controller('db').sleep({ kind: 'hand', words: 'for a test' });
  bench.backend.last.fail('the engine is busy');
  await settle();
  expect(collect([service])).toEqual([
    'container db warning service db could not be put to sleep: the engine is busy',
  ]);
});

test('a container that may take any memory is a problem where that is limited', () => {
  const service = aService({ workload: { kind: 'docker', container: 'db' } });
  bench.add(service, MISSING);
  const [bound, own] = ['bound', 'own'].map((name) =>
    aService({ name, workload: { kind: 'docker', container: name }, listeners: [], memoryBytes: undefined }),
  );
  const services = [service, bound, { ...own, memoryBytes: 5 }] as Service[];
  bench.add(services[1] as Service, { ...STOPPED, memoryLimitBytes: 5 });
  bench.add(services[2] as Service, STOPPED);
  const said = () => collect(services).filter((line) => line.includes('memory'));
  bench.backend.tell('docker/db', STOPPED);
  expect(said()).toEqual([]);
  bench.lifecycle.room.setLimits({ maxAwake: undefined, memoryBytes: 10, groups: {} });
  expect(said()).toEqual([
    "container db warning service db takes nothing of limits.memory, since nobody knows how much memory it may take; set memory for the service, or limit its container's (docker run --memory, mem_limit in Compose)",
  ]);
});

test('a container that does not exist is a problem', () => {
  const service = aService({});
  bench.add(service, { ...STOPPED, state: 'missing' });
  expect(collect([service])).toEqual([
    'container db warning service db: container db does not exist (docker compose create makes it); it is used as soon as it appears',
  ]);
});

test('a container that does not say which port serves its hosts is a problem, once it is there', () => {
  const service = aService({ listeners: [], web: { ...NO_WEB, hosts: ['wiki.lan'] } });
  const problem =
    'default warning hosts of service db: container db does not say which of its ports serves them, so 80 is used; set http_port';
  bench.add(service, STOPPED);
  expect(collect([service])).toEqual([problem]);
  bench.backend.tell('docker/db', { ...STOPPED, onlyPort: 3_000 });
  expect(collect([service])).toEqual([]);
  bench.backend.tell('docker/db', { ...STOPPED, ports: { 'tcp/http': [], 'udp/53': [] } });
  expect(collect([service])).toEqual([]);
  bench.backend.tell('docker/db', { ...STOPPED, state: 'unknown' });
  expect(collect([service])).toEqual([]);
});

test('a port that the container publishes itself is a problem, and explains why it does not start', async () => {
  const listeners = [{ protocol: 'tcp', address: '', port: 9_210, targetPort: 7 }] as const;
  const service = aService({ listeners });
  const observation = { ...STOPPED, publishedPorts: ['tcp/9210', 'tcp/1'] };
  bench.add(service, observation);
  const why = `the container publishes tcp 9210 itself, where the proxy listens for it; take it out of the container's own ports`;
  expect(collect([service])).toEqual([`container db warning service db: ${why}`]);
  bench.client('db', 7).served.catch(() => {});
  await bench.backend.called(1);
  bench.backend.last.fail('port is already allocated', observation);
  await settle();
  expect(bench.controller('db').account.wakes.failure).toBe(`${why}: port is already allocated`);
});

test.each([
  ['another process holds the port', '; free it, or choose another one'],
  ['this machine does not have that address', ''],
])('a port that is not bound is a problem: %s', (error, advice) => {
  const listeners = [9_210, 9_211, 9_212].map(
    (port) => ({ protocol: 'tcp', address: '', port, targetPort: 7 }) as const,
  );
  const service = aService({ listeners });
  bench.add(service, STOPPED);
  expect(collect([service], () => ({ condition: 'pending' }))).toEqual([]);
  expect(collect([service], () => ({ condition: 'bound' }))).toEqual([]);
  expect(collect([service], () => ({ condition: 'failed', error }))).toEqual([
    `container db warning service db can't listen on *:9210/tcp: ${error}${advice}; it is tried again until it works; nor on 2 more of its ports`,
  ]);
});

test('a front door that is not bound is a problem', () => {
  const origin = { kind: 'file', file: 'lazy-proxy.yaml', line: 3, column: 9 } as const;
  const find = (condition: 'bound' | 'failed') =>
    findUnboundFronts(
      { origins: { 'http.https': origin } } as unknown as ResolvedSettings,
      {
        fronts: {
          list: () => [{ front: { address: '', port: 443, tls: true }, condition, error: 'not permitted' }],
        },
      } as unknown as Runtime,
    ).map(formatProblem);
  expect(find('bound')).toEqual([]);
  expect(find('failed')).toEqual([
    "lazy-proxy.yaml:3:9 warning http.https: the front door can't listen on *:443/tcp: not permitted; it is tried again until it works",
  ]);
});

test('a webhook that may not be sent where its name leads is a problem once that was seen', async () => {
  const service = aService({ webhookUrl: aUrl('http://127.0.0.1:1/x') });
  bench.add(service, STOPPED);
  expect(collect([service])).toEqual([]);
  const subject = { id: 'a1', name: 'db' };
  const event = createContainerEvent('container_started', { subject, nowMs: bench.clock.nowMs() });
  sender.send(aWebhook('http://127.0.0.1:1/x'), event);
  while (sender.refusalOf(aUrl('http://127.0.0.1:1/x')) === undefined) await settle();
  expect(collect([service])).toEqual([
    expect.stringContaining('no event of service db is sent to its webhook: it is somewhere else'),
  ]);
});

test('a URL of a label that may not lead where it says is a problem before anybody asks it', () => {
  const workload: WorkloadLabels['ref'] = { kind: 'docker', name: 'db' };
  const labelled = (url: string): readonly string[] => {
    const service = aService({ webhookUrl: aUrl(url, 'label'), httpHealthcheck: aUrl(url, 'label') });
    const { entries } = aTable([service]);
    const entry = entries.get('db') as TableEntry;
    const origin = (label: string) =>
      ({ kind: 'label', workload, label: `lazy-tcp-proxy.${label}` }) as const;
    const origins = {
      ...entry.origins,
      http_healthcheck: origin('http-healthcheck'),
      webhook_url: origin('webhook-url'),
    };
    const table = { ...aTable([service]), entries: new Map([['db', { ...entry, origins }]]) };
    return findForbiddenUrls(table, explainUrl).map(formatProblem);
  };
  const why = (host: string, place: string) =>
    `the URL of a label may not lead to ${host} (${place}), unless docker.label_urls allows it`;
  expect(labelled('http://localhost:8080/x')).toEqual([
    `container db, label lazy-tcp-proxy.http-healthcheck error http-healthcheck: ${why('localhost', 'loopback')}; so db never becomes ready`,
    `container db, label lazy-tcp-proxy.webhook-url warning webhook-url: ${why('localhost', 'loopback')}; so no event of db is sent`,
  ]);
  expect(labelled('http://{{container}}:8080/x')).toEqual([]);
  expect(labelled('http://hooks.example.com/x')).toEqual([]);
});
