/** What users of lazy-tcp-proxy have already: their labels, their variables, their file, and what reads the status. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type AppAnswer, httpdCommand, nodeApp } from './support/apps.ts';
import { createConfigFolder } from './support/config-folder.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { createScope, type Scope } from './support/engine.ts';
import { type EngineEvents, watchEngineEvents } from './support/engine-events.ts';
import { get, getJson } from './support/http.ts';
import { type ProxyProcess, startProxy } from './support/proxy.ts';
import { engineSocket } from './support/proxy-container.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed } from './support/test-bed.ts';
import { openUdp } from './support/udp.ts';
import { waitUntil } from './support/wait-until.ts';

const PREFIX = 'lazy-tcp-proxy';
/** The fields of the original's status. */
const STATUS_FIELDS = [
  'container_id',
  'container_name',
  'listen_port',
  'target_port',
  'running',
  'active_conns',
  'last_active',
  'last_active_relative',
  'is_udp',
  'container_missing',
];

// One proxy for all: proxies beside each other would fight for the ports that these labels name.
let scope: Scope;
let events: EngineEvents;
let proxy: ProxyProcess;
beforeAll(async () => {
  scope = createScope();
  events = await watchEngineEvents(scope);
  proxy = await startProxy({
    env: {
      DOCKER_HOST: undefined,
      DOCKER_SOCK: engineSocket(),
      IDLE_TIMEOUT_SECS: '1',
      POLL_INTERVAL_SECS: '15',
    },
  });
});
afterAll(async () => {
  await proxy?.stop();
  events?.close();
  await scope?.cleanup();
});

/** A stopped container with labels of the original, once the proxy listens for it. */
async function createLabelled(
  short: string,
  labels: Readonly<Record<string, string>>,
  spec: Partial<ContainerSpec> = { cmd: httpdCommand({ body: short }) },
): Promise<TestContainer> {
  const named = Object.entries({ enabled: 'true', ...labels }).map(([key, value]) => [
    `${PREFIX}.${key}`,
    value,
  ]);
  const name = scope.name(short);
  const container = await scope.createContainer({ ...spec, name, labels: Object.fromEntries(named) });
  await proxy.waitForLog((line) => line.event === 'listening' && line.service === name);
  return container;
}

async function startsOf(container: TestContainer): Promise<number> {
  return events.of(container.name, 'start').length;
}

describe.concurrent('a label of lazy-tcp-proxy', () => {
  test('"ports" takes several pairs, with white space around the commas', async () => {
    const [first = 0, second = 0] = await freePorts(2);
    const app = await nodeApp({ port: [80, 8080] });
    await createLabelled('ports', { ports: ` ${first} : 80 , ${second}:8080, ` }, app);
    expect((await getJson<AppAnswer>(first)).port).toBe(80);
    expect((await getJson<AppAnswer>(second)).port).toBe(8080);
  });

  test('"udp-ports" takes several pairs, beside "ports"', async ({ onTestFinished }) => {
    const [tcp, first = 0, second = 0] = await freePorts(3);
    const app = await nodeApp({ mode: 'udp-echo', port: [80, 8080] });
    const labels = { ports: `${tcp}:80`, 'udp-ports': `${first}:80, ${second}:8080` };
    await createLabelled('udp-ports', labels, app);
    for (const port of [first, second]) {
      // Its log line for TCP says nothing of these.
      await proxy.waitForLog((line) => line.event === 'listening' && line.msg.endsWith(`:${port}/udp`));
      const client = await openUdp(port);
      onTestFinished(() => client.close());
      await client.send('ping');
      expect(String(await client.receive())).toMatch(/^\d+ ping$/);
    }
  });

  test('"allow-list" lets in only those it names, and "block-list" keeps out some of them', async () => {
    const port = await freePort();
    const lists = { 'allow-list': ' 127.0.0.0/30 , 192.0.2.1', 'block-list': '127.0.0.2 ,198.51.100.0/24' };
    const guarded = await createLabelled('lists', { ports: `${port}:80`, ...lists });
    await expect(get(port, { localAddress: '127.0.0.2' })).rejects.toThrow();
    await expect(get(port, { localAddress: '127.0.0.9' })).rejects.toThrow();
    expect(await startsOf(guarded)).toBe(0);
    expect((await get(port, { localAddress: '127.0.0.3' })).body).toBe('lists');
  });

  test('"idle-timeout-secs" beats IDLE_TIMEOUT_SECS', async () => {
    const [longPort = 0, shortPort = 0] = await freePorts(2);
    const long = await createLabelled(`idle-label-${longPort}`, {
      ports: `${longPort}:80`,
      'idle-timeout-secs': '4',
    });
    const short = await createLabelled(`idle-variable-${shortPort}`, { ports: `${shortPort}:80` });
    // Before they are used: nobody knows on a loaded machine how long ago a client has left when its answer is read.
    const usedAt = Date.now();
    await Promise.all([get(longPort), get(shortPort)]);
    const [longDied, shortDied] = await Promise.all(
      [long, short].map(({ name }) => events.waitFor(name, 'die')),
    );
    expect((shortDied?.at ?? 0) - usedAt).toBeGreaterThan(900);
    expect((longDied?.at ?? 0) - usedAt).toBeGreaterThan(3_900);
    expect(shortDied?.at).toBeLessThan(longDied?.at ?? 0);
  });

  test.for([
    ['start-timeout-secs', '1'],
    ['start-timeout', '1s'],
  ] as const)('"%s" closes clients that wait for longer', async ([label, value], context) => {
    await expectStartTimeout(context, { label, value });
  });

  test('"dependants" are woken with their hub', async () => {
    const port = await freePort();
    const names = ['hub-worker', 'hub-cache'].map((short) => scope.name(short));
    const labels = { [`${PREFIX}.enabled`]: 'true' };
    for (const name of names) await scope.createContainer({ name, cmd: httpdCommand(), labels });
    await createLabelled('hub', { ports: `${port}:80`, dependants: names.join(' , ') });
    await get(port);
    for (const name of names) await events.waitFor(name, 'start');
  });

  test('"cron-start" keeps the container from being stopped when it idles', async () => {
    const [cronPort = 0, plainPort = 0] = await freePorts(2);
    const cron = await createLabelled('cron', { ports: `${cronPort}:80`, 'cron-start': '0 4 29 2 *' });
    const plain = await createLabelled('plain', { ports: `${plainPort}:80` });
    await get(cronPort);
    await get(plainPort);
    await events.waitFor(plain.name, 'die');
    expect(await cron.state()).toBe('running');
  });

  test('"tls", "api-key" and "basic-auth" that guard nothing let everybody in', async () => {
    const port = await freePort();
    const nothing = { tls: 'false', 'api-key': '', 'basic-auth': '' };
    await createLabelled('open', { ports: `${port}:80`, ...nothing });
    expect((await get(port)).body).toBe('open');
  });

  test('"enabled" other than true leaves the container alone', async () => {
    const [offPort = 0, onPort = 0] = await freePorts(2);
    const labels = { [`${PREFIX}.enabled`]: 'false', [`${PREFIX}.ports`]: `${offPort}:80` };
    await scope.createContainer({ name: scope.name('off'), cmd: httpdCommand(), labels });
    await createLabelled('on', { ports: `${onPort}:80` });
    await expect(connectTcp(offPort)).rejects.toThrow('ECONNREFUSED');
  });
});

/** The container runs, but nothing listens in it. */
async function expectStartTimeout(
  { task }: TestContext,
  { label, value }: { readonly label: string; readonly value: string },
): Promise<void> {
  const port = await freePort();
  const cmd = ['sh', '-c', 'trap "exit 0" TERM; sleep 60 & wait'];
  const mute = await createLabelled(label, { ports: `${port}:80`, [label]: value }, { cmd });
  const startMs = performance.now();
  const client = await connectTcp(port);
  await client.closed;
  client.destroy();
  expect(performance.now() - startMs, task.name).toBeGreaterThan(950);
  expect(performance.now() - startMs, task.name).toBeLessThan(5_000);
  expect(
    await proxy.waitForLog((line) => line.event === 'unserved' && line.service === mute.name),
  ).toMatchObject({ msg: expect.stringContaining('1000 ms') });
}

describe('the status', () => {
  const getRows = () => getJson<Readonly<Record<string, unknown>>[]>(`${proxy.statusUrl}/status`);
  test('has the fields of the original in every row, sorted by container name', async () => {
    const ports = await freePorts(3);
    for (const [index, short] of ['row-c', 'row-a', 'row-b'].entries())
      await createLabelled(short, { ports: `${ports[index]}:80` });
    await get(ports[2] ?? 0);
    const isIdle = async () => (await getRows()).every((row) => row['active_conns'] === 0);
    await waitUntil(isIdle, { what: 'the end of the connection' });
    const rows = await getRows();
    for (const row of rows) expect(Object.keys(row)).toEqual(expect.arrayContaining(STATUS_FIELDS));
    const names = rows.map((row) => String(row['container_name']));
    expect(names).toEqual([...names].sort());
    const woken = rows.find((row) => row['container_name'] === scope.name('row-b'));
    expect(woken).toMatchObject({
      container_id: expect.stringMatching(/^[0-9a-f]{12}$/),
      listen_port: ports[2],
      target_port: 80,
      running: true,
      active_conns: 0,
      last_active: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      last_active_relative: expect.stringMatching(/^(just now|\d+ seconds? ago)$/),
    });
    const asleep = rows.find((row) => row['container_name'] === scope.name('row-a'));
    expect(asleep).toMatchObject({ running: false, active_conns: 0, container_missing: false });
  });

  test('answers "ok" at /health', async () => {
    expect(await get(`${proxy.statusUrl}/health`)).toMatchObject({ status: 200, body: 'ok' });
  });
});

test('the variables of the original are taken without a word', () => {
  const complaints = proxy.logs().filter(({ msg }) => /_SECS|DOCKER_SOCK|STATUS_PORT/.test(msg));
  expect(complaints.filter(({ level }) => level !== 'debug')).toEqual([]);
});

test('the status says which containers of the file are missing', async ({ onTestFinished }) => {
  const bed = await openTestBed({ onTestFinished });
  const [tcp = 0, udp = 0, other = 0] = await freePorts(3);
  const [missing, present] = [bed.scope.name('missing'), bed.scope.name('present')];
  await bed.scope.createContainer({ name: present, cmd: httpdCommand() });
  const files = await createConfigFolder(`services:
  - { name: ${missing}, ports: ["${tcp}:80"], udp_ports: ["${udp}:53"] }
  - { name: ${present}, ports: ["${other}:80"] }
`);
  bed.atEnd(() => files.remove());
  const own = await bed.startProxy({ env: { CONFIG_PATH: files.configFile } });
  const read = async () => {
    const rows = await getJson<Readonly<Record<string, unknown>>[]>(`${own.statusUrl}/status`);
    return rows.map(({ listen_port, is_udp, container_missing }) => [listen_port, is_udp, container_missing]);
  };
  const isSeen = async () => (await read()).some(([, , isMissing]) => isMissing);
  await waitUntil(isSeen, { what: 'the first look at the containers' });
  expect((await read()).toSorted((a, b) => Number(a[0]) - Number(b[0]))).toEqual(
    [
      [tcp, false, true],
      [udp, true, true],
      [other, false, false],
    ].toSorted((a, b) => Number(a[0]) - Number(b[0])),
  );
  await bed.scope.createContainer({ name: missing, cmd: httpdCommand() });
  await waitUntil(async () => !(await isSeen()), { what: 'the container that was missing' });
});

test('labels are served while the file that CONFIG_PATH names is not there yet', async ({
  onTestFinished,
}) => {
  const bed = await openTestBed({ onTestFinished });
  const [byLabel = 0, byFile = 0] = await freePorts(2);
  const [labelled, late] = [bed.scope.name('labelled'), bed.scope.name('late')];
  const labels = bed.labels({ ports: [`${byLabel}:80`] });
  await bed.scope.createContainer({ name: labelled, cmd: httpdCommand({ body: 'by label' }), labels });
  await bed.scope.createContainer({ name: late, cmd: httpdCommand({ body: 'by file' }) });
  const files = await createConfigFolder();
  bed.atEnd(() => files.remove());
  const own = await bed.startProxy({ env: { CONFIG_PATH: files.configFile } });
  expect(own.logs().find(({ event }) => event === 'awaiting-file')?.msg).toBe(
    `CONFIG_PATH names ${files.configFile}, which is not there yet: it is read as soon as it is; until then services come from labels alone`,
  );
  expect((await get(byLabel)).body).toBe('by label');
  await files.edit(`services:\n  - { name: ${late}, ports: ["${byFile}:80"] }\n`);
  await own.waitForLog((line) => line.msg.includes(`service ${late} added`));
  expect((await get(byFile)).body).toBe('by file');
  expect((await get(byLabel)).body).toBe('by label');
});

test('the file of the original works unchanged when CONFIG_PATH names it', async ({ onTestFinished }) => {
  const bed = await openTestBed({ onTestFinished });
  const [tcpPort = 0, udpPort = 0, otherPort = 0] = await freePorts(3);
  const [name, other] = [bed.scope.name('my-container'), bed.scope.name('other-service')];
  await bed.scope.createContainer({ name, ...(await nodeApp({ healthyAfterMs: 300 })) });
  await bed.scope.createContainer({ name: other, cmd: httpdCommand() });
  const text = `services:
  - name: "${name}"
    ports:
      - "${tcpPort}:80"
    udp_ports:
      - "${udpPort}:53"
    allow_list: ["127.0.0.0/8"]
    block_list: ["127.0.0.9"]
    idle_timeout_secs: 1
    start_timeout_secs: 30
    dependants: ["${other}"]
    http_healthcheck: "http://{{container}}:80/health"
  - name: ${other}
    ports:
      - "${otherPort}:80"
    cron_start: "0 4 29 2 *"
    cron_stop:  "0 5 29 2 *"
`;
  const files = await createConfigFolder(text);
  bed.atEnd(() => files.remove());
  const own = await bed.startProxy({ env: { CONFIG_PATH: path.join(files.folder, 'lazy-proxy.yaml') } });
  expect(own.logs().filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  await expect(get(tcpPort, { localAddress: '127.0.0.9' })).rejects.toThrow();
  expect((await getJson<AppAnswer>(tcpPort)).hostname).toMatch(/^[0-9a-f]{12}$/);
  await bed.events.waitFor(other, 'start');
  await bed.events.waitFor(name, 'die');
  // The hub's stop ends its hold on the other one, which nobody else uses.
  await waitUntil(() => bed.events.of(other, 'die').length > 0, { what: 'the stop of the dependant' });
  expect(await readFile(files.configFile, 'utf8')).toBe(text);
});
