import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import type { ContainerSpec } from './support/container.ts';
import { createScope } from './support/engine.ts';
import { get, getJson } from './support/http.ts';
import { type ProxyProcess, runCli, startProxy } from './support/proxy.ts';

const PREFIX = 'lazy-tcp-proxy';

const scope = createScope();
afterAll(() => scope.cleanup());

interface ShownProblem {
  readonly code: string;
  readonly severity: string;
  readonly message: string;
  readonly origin: Readonly<Record<string, string>>;
}

/** A container that serves its own short name on port 80, with labels. */
function labelled(short: string, labels: Readonly<Record<string, string>>): ContainerSpec {
  const named = Object.entries({ enabled: 'true', ...labels }).map(([key, value]) => [
    `${PREFIX}.${key}`,
    value,
  ]);
  return { name: scope.name(short), cmd: httpdCommand({ body: short }), labels: Object.fromEntries(named) };
}

async function start(config?: string): Promise<ProxyProcess> {
  const proxy = await startProxy(config === undefined ? {} : { config });
  onTestFinished(async () => void (await proxy.stop()));
  return proxy;
}

describe('a container whose labels have a mistake', () => {
  let goodPort: number;
  let badPort: number;
  let reason: string;

  beforeAll(async () => {
    [goodPort = 0, badPort = 0] = await freePorts(2);
    await scope.createContainer(labelled('good', { ports: `${goodPort}:80` }));
    await scope.createContainer(
      labelled('bad', { ports: `${badPort}:80`, 'allow-list': '127.0.0.1, 10.0.0/8' }),
    );
    const bad = scope.name('bad');
    reason = `container ${bad}, label ${PREFIX}.allow-list: allow-list[1]: "10.0.0/8" is not an IP address or CIDR range such as 192.168.0.0/16; until then container ${bad} is refused as a whole`;
  });

  test('is refused alone: an unreadable allow-list opens the service to nobody', async () => {
    const proxy = await start();
    await expect(get(badPort)).rejects.toThrow('ECONNREFUSED');
    expect((await get(goodPort)).body).toBe('good');
    const rows = await getJson<{ container_name: string }[]>(`${proxy.statusUrl}/status`);
    expect(rows.map(({ container_name }) => container_name)).toEqual([scope.name('good')]);
  });

  test('is named with the reason in the log and at /problems', async () => {
    const proxy = await start();
    const lines = proxy.logs().filter(({ event }) => event === 'problem');
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([['error', reason]]);
    expect(await getJson<ShownProblem[]>(`${proxy.statusUrl}/problems`)).toEqual([
      {
        code: 'invalid-address',
        severity: 'error',
        message: reason.slice(reason.indexOf('allow-list[1]')),
        origin: {
          kind: 'label',
          workload: { kind: 'docker', name: scope.name('bad') },
          label: `${PREFIX}.allow-list`,
        },
      },
    ]);
  });

  test('has its reason logged again when it is started, but not twice in a minute', async () => {
    const proxy = await start();
    const bad = scope.docker.getContainer(scope.name('bad'));
    let from = proxy.logs().length;
    await bad.start();
    expect(await proxy.waitForLog('problem', { from })).toMatchObject({ level: 'error', msg: reason });
    from = proxy.logs().length;
    await bad.restart();
    await bad.stop();
    await get(goodPort);
    // A good container has nothing to tell when it is started.
    expect(
      proxy
        .logs()
        .slice(from)
        .filter(({ event }) => event === 'problem'),
    ).toEqual([]);
  });

  test('is served as soon as another one without the mistake takes its place', async () => {
    const proxy = await start();
    await scope.docker.getContainer(scope.name('bad')).remove({ force: true });
    const mended = await scope.createContainer(
      labelled('bad', { ports: `${badPort}:80`, 'allow-list': '127.0.0.1, 10.0.0.0/8' }),
    );
    await proxy.waitForLog(({ event, service }) => event === 'listening' && service === mended.name);
    expect((await get(badPort)).body).toBe('bad');
    expect(await getJson(`${proxy.statusUrl}/problems`)).toEqual([]);
  });
});

describe('labels beside a file', () => {
  test('are merged field by field, and the file wins', async () => {
    const [filePort = 0, labelPort = 0] = await freePorts(2);
    const labels = { ports: `${labelPort}:80`, 'allow-list': '192.0.2.1' };
    const both = await scope.createContainer(labelled('both', labels));
    const proxy = await start(`services: { ${both.name}: { ports: ["${filePort}:80"] } }`);
    await expect(get(labelPort)).rejects.toThrow('ECONNREFUSED');
    // The allow-list is the label's.
    await expect(get(filePort)).rejects.toThrow();
    expect(await proxy.waitForLog('refused')).toMatchObject({ service: both.name });
    await proxy.edit(`services: { ${both.name}: { ports: ["${filePort}:80"], allow_list: [] } }`);
    await proxy.waitForLog(({ event, msg }) => event === 'reload' && msg.includes('stays open'));
    expect((await get(filePort)).body).toBe('both');
  });

  test('refuse the service of the file when they have a mistake, unless it ignores them', async () => {
    const [port = 0] = await freePorts(1);
    const broken = await scope.createContainer(labelled('broken', { 'block-list': 'everybody' }));
    const proxy = await start(`services: { ${broken.name}: { ports: ["${port}:80"] } }`);
    await expect(get(port)).rejects.toThrow('ECONNREFUSED');
    await proxy.edit(`services: { ${broken.name}: { ports: ["${port}:80"], ignore_labels: true } }`);
    await proxy.waitForLog(({ event, service }) => event === 'listening' && service === broken.name);
    expect((await get(port)).body).toBe('broken');
    expect(await getJson(`${proxy.statusUrl}/problems`)).toEqual([]);
    expect(proxy.logs().filter(({ event }) => event === 'problem')).toHaveLength(1);
  });
});

describe('labels under both prefixes that count by default', () => {
  test('each make a service, and the first prefix counts where two give a field', async () => {
    const [newPort = 0, oldPort = 0, bothPort = 0, ignoredPort = 0, offPort = 0] = await freePorts(5);
    const container = (short: string, labels: Readonly<Record<string, string>>) =>
      scope.createContainer({ name: scope.name(short), cmd: httpdCommand({ body: short }), labels });
    await container('new', { 'lazy-proxy.enabled': 'true', 'lazy-proxy.ports': `${newPort}:80` });
    await container('old', { 'lazy-tcp-proxy.enabled': 'true', 'lazy-tcp-proxy.ports': `${oldPort}:80` });
    await container('two', {
      'lazy-tcp-proxy.enabled': 'true',
      'lazy-tcp-proxy.ports': `${ignoredPort}:80`,
      'lazy-tcp-proxy.block-list': '198.51.100.7',
      'lazy-proxy.ports': `${bothPort}:80`,
    });
    await container('off', {
      'lazy-tcp-proxy.enabled': 'true',
      'lazy-tcp-proxy.ports': `${offPort}:80`,
      'lazy-proxy.enabled': 'false',
    });
    const proxy = await start();
    const bodies = await Promise.all([newPort, oldPort, bothPort].map((port) => get(port)));
    expect(bodies.map(({ body }) => body)).toEqual(['new', 'old', 'two']);
    for (const port of [ignoredPort, offPort]) await expect(get(port)).rejects.toThrow('ECONNREFUSED');
    const problems = await getJson<ShownProblem[]>(`${proxy.statusUrl}/problems`);
    const ofThese = problems.filter(({ message }) => message.includes('beside lazy-proxy.'));
    expect(ofThese.map(({ severity, message, origin }) => [severity, origin['label'], message])).toEqual([
      [
        'warning',
        'lazy-tcp-proxy.enabled',
        '"true" has no effect beside lazy-proxy.enabled, which is "false" and whose prefix comes first; keep one of them',
      ],
      [
        'warning',
        'lazy-tcp-proxy.ports',
        'ports: has no effect beside lazy-proxy.ports, whose prefix comes first; keep one of them',
      ],
    ]);
    const { stdout } = await runCli(['print-effective-config', '--show-origin']);
    const lineOf = (text: string) => stdout.split('\n').find((line) => line.includes(text));
    expect(lineOf(`${bothPort}:80`)).toContain(`# container ${scope.name('two')}, label lazy-proxy.ports`);
    expect(lineOf('198.51.100.7')).toContain(
      `# container ${scope.name('two')}, label lazy-tcp-proxy.block-list`,
    );
    expect(lineOf(`${offPort}:80`)).toBeUndefined();
  });

  test('are no longer both read once the file names one of them', async () => {
    const [newPort = 0, oldPort = 0] = await freePorts(2);
    const cmd = httpdCommand({ body: 'x' });
    const [onNew] = await Promise.all([
      scope.createContainer({
        ...{ name: scope.name('on-new'), cmd },
        labels: { 'lazy-proxy.enabled': 'true', 'lazy-proxy.ports': `${newPort}:80` },
      }),
      scope.createContainer({
        ...{ name: scope.name('on-old'), cmd },
        labels: { 'lazy-tcp-proxy.enabled': 'true', 'lazy-tcp-proxy.ports': `${oldPort}:80` },
      }),
    ]);
    const proxy = await start('docker: { label_prefix: lazy-tcp-proxy }');
    await expect(get(newPort)).rejects.toThrow('ECONNREFUSED');
    expect((await get(oldPort)).body).toBe('x');
    await proxy.edit('docker: { label_prefix: [lazy-proxy, lazy-tcp-proxy] }');
    await proxy.waitForLog(({ event, service }) => event === 'listening' && service === onNew.name);
    expect((await get(newPort)).body).toBe('x');
    await proxy.edit('docker: { label_prefix: [lazy-proxy] }');
    const answer = () => get(oldPort).then(({ body }) => body, String);
    await expect.poll(answer, { timeout: 5_000 }).toContain('ECONNREFUSED');
  });
});

test('a container whose label was meant to opt in is warned of in the log and at /problems', async () => {
  const cmd = httpdCommand({ body: 'x' });
  await scope.createContainer({ name: scope.name('meant'), cmd, labels: { [`${PREFIX}.enable`]: 'true' } });
  await scope.createContainer({ name: scope.name('yes'), cmd, labels: { [`${PREFIX}.enabled`]: 'Yes' } });
  const proxy = await start();
  const problems = await getJson<ShownProblem[]>(`${proxy.statusUrl}/problems`);
  const told = problems.map(({ severity, message, origin }) => `${origin['label']} ${severity} ${message}`);
  expect(told).toEqual(
    expect.arrayContaining([
      `${PREFIX}.enable warning unknown label, so nothing opts in; did you mean "${PREFIX}.enabled"?`,
      `${PREFIX}.enabled warning "Yes" does not opt in, only "true" does; write "true", or "false" if it is to be left alone`,
    ]),
  );
  const logged = proxy.logs().filter(({ event }) => event === 'problem');
  expect(logged.some(({ msg }) => String(msg).startsWith(`container ${scope.name('meant')}, label`))).toBe(
    true,
  );
});

test('a labelled container that is removed takes its service along, and is not said to be missing', async () => {
  const [port = 0] = await freePorts(1);
  const container = await scope.createContainer(labelled('brief', { ports: `${port}:80` }));
  const proxy = await start();
  await container.remove();
  const lines = () => proxy.logs().filter(({ level }) => level !== 'debug');
  const messages = () => lines().map(({ msg }) => String(msg));
  const removed = `service ${scope.name('brief')} removed`;
  await expect.poll(() => messages().some((msg) => msg.includes(removed)), { timeout: 5_000 }).toBe(true);
  await proxy.stop();
  expect(
    messages().filter((msg) => /missing|does not exist/.test(msg) && msg.includes(scope.name('brief'))),
  ).toEqual([]);
});
