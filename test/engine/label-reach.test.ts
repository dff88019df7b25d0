/** What labels may do to containers other than their own, and to the proxy's. */
import path from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { createConfigFolder } from './support/config-folder.ts';
import { get, getJson } from './support/http.ts';
import { busyboxImage, nodeImage } from './support/image.ts';
import { runCli } from './support/proxy.ts';
import { engineSocket } from './support/proxy-container.ts';
import { openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface ShownProblem {
  readonly severity: string;
  readonly message: string;
}

const open = ({ onTestFinished }: TestContext) => openTestBed({ onTestFinished });

/** A web server with labels that opt in, or without any. */
function spec({ scope, labels }: TestBed, short: string, fields?: ServiceFields) {
  const own = fields === undefined ? {} : { labels: labels(fields) };
  return { name: scope.name(short), cmd: httpdCommand(), ...own };
}

describe.concurrent('a hub by label', () => {
  test('starts and stops nothing that has not opted in, and says so', async (context) => {
    const bed = await open(context);
    const { scope, events } = bed;
    const port = await freePort();
    const prod = await scope.runContainer(spec(bed, 'prod'));
    const asleep = await scope.createContainer(spec(bed, 'asleep'));
    const member = await scope.createContainer(spec(bed, 'member', {}));
    const dependants = [prod.name, asleep.name, member.name];
    const hub = await scope.createContainer(
      spec(bed, 'hub', { ports: `${port}:80`, idle_timeout: '1s', dependants }),
    );
    const proxy = await bed.startProxy();
    expect((await get(port)).body).toBe('hello');
    await events.waitFor(hub.name, 'die');
    // What has opted in goes along, as ever.
    await events.waitFor(member.name, 'start');
    await events.waitFor(member.name, 'die');
    expect(events.of(prod.name, 'die')).toEqual([]);
    expect(events.of(asleep.name, 'start')).toEqual([]);
    const problems = await getJson<ShownProblem[]>(`${proxy.statusUrl}/problems`);
    const label = `${scope.prefix}.enabled=true`;
    expect(problems.map(({ message }) => message)).toEqual(
      [prod, asleep].map(
        ({ name }) =>
          `dependants: "${name}" does not exist or has not opted in, so a hub by label can't reach it; give it the label ${label}, or name the dependants in the file`,
      ),
    );
  });

  test('has no reach by the labels of its image', async (context) => {
    const bed = await open(context);
    const { scope, events } = bed;
    const prod = await scope.runContainer(spec(bed, 'prod'));
    const member = await scope.createContainer(spec(bed, 'member', {}));
    const inherited = bed.labels({ cron_stop: '* * * * *', dependants: [prod.name, member.name] });
    const image = await scope.createImage({
      from: await busyboxImage(),
      changes: Object.entries(inherited).map(([label, value]) => `LABEL ${label}="${value}"`),
    });
    await bed.startProxy();
    const evil = await scope.runContainer({ ...spec(bed, 'evil'), image });
    await events.waitFor(member.name, 'start');
    await evil.stop(0);
    await events.waitFor(member.name, 'die');
    expect(events.of(prod.name, 'die')).toEqual([]);
  });

  test('leaves what ran before it woke as it was', async (context) => {
    const bed = await open(context);
    const { scope, events } = bed;
    const port = await freePort();
    const before = await scope.runContainer(spec(bed, 'before', { idle_timeout: '10m' }));
    const member = await scope.createContainer(spec(bed, 'member', { idle_timeout: '10m' }));
    const dependants = [before.name, member.name];
    const fields = { ports: `${port}:80`, idle_timeout: '1s', dependants };
    await scope.createContainer(spec(bed, 'hub', fields));
    await bed.startProxy();
    expect((await get(port)).body).toBe('hello');
    await events.waitFor(member.name, 'die');
    expect(events.of(before.name, 'die')).toEqual([]);
  });

  test('reaches a service of the file that lets it, which goes to sleep by its own policy', async (context) => {
    const bed = await open(context);
    const { scope, events } = bed;
    const port = await freePort();
    const [lets, shut] = ['lets', 'shut'].map((short) => spec(bed, short));
    if (lets === undefined || shut === undefined) throw new Error('two were asked for');
    await scope.createContainer(lets);
    await scope.createContainer(shut);
    const member = await scope.createContainer(spec(bed, 'member', {}));
    const dependants = [lets.name, shut.name, member.name];
    const fields = { ports: `${port}:80`, idle_timeout: '1s', dependants };
    await scope.createContainer(spec(bed, 'hub', fields));
    const [first, second] = [await freePort(), await freePort()];
    const proxy = await bed.startProxy({
      services: {
        [lets.name]: { ports: [`${first}:80`], idle_timeout: '4s', dependant_of_labels: true },
        [shut.name]: { ports: [`${second}:80`] },
      },
    });
    expect((await get(port)).body).toBe('hello');
    await events.waitFor(lets.name, 'start');
    const stopped = await events.waitFor(member.name, 'die');
    const slept = await events.waitFor(lets.name, 'die');
    expect(slept.at - stopped.at).toBeGreaterThan(2_000);
    expect(events.of(shut.name, 'start')).toEqual([]);
    const problems = await getJson<ShownProblem[]>(`${proxy.statusUrl}/problems`);
    expect(problems.map(({ message }) => message)).toEqual([
      `dependants: service "${shut.name}" of the file isn't open to hubs by label; write dependant_of_labels: true there if it is to be`,
    ]);
  });
});

test('the proxy never stops its own container, whoever names it', async (context) => {
  const bed = await open(context);
  const { scope, events } = bed;
  const own = scope.name('proxy');
  const web = await scope.createContainer(spec(bed, 'web'));
  const labelled = await scope.createContainer(
    spec(bed, 'labelled', { ports: '9001:80', idle_timeout: '1s', dependants: [own] }),
  );
  const files = await createConfigFolder(
    JSON.stringify({
      relay: 'stream',
      services: {
        [web.name]: { ports: ['9000:80'], idle_timeout: '1s', dependants: [own] },
        own: { container: own, ports: ['9002:80'], idle_timeout: '1s' },
      },
    }),
  );
  context.onTestFinished(() => files.remove());
  const proxy = await scope.runContainer({
    name: own,
    image: await nodeImage(),
    cmd: ['node', '/app/dist/main.js', 'run', '--label-prefix', scope.prefix],
    env: { LOG_FORMAT: 'json' },
    labels: bed.labels({ ports: '9003:80', idle_timeout: '1s' }),
    binds: [
      `${engineSocket()}:/var/run/docker.sock`,
      `${ROOT}:/app:ro`,
      `${files.folder}:/etc/lazy-proxy:ro`,
    ],
  });
  await waitUntil(async () => (await proxy.logs()).includes('ready: '), {
    timeoutMs: 30_000,
    what: 'the start of the proxy',
  });
  const [address = ''] = await proxy.addresses();
  expect((await get(`http://${address}:9000/`)).body).toBe('hello');
  expect((await get(`http://${address}:9001/`)).body).toBe('hello');
  await events.waitFor(web.name, 'die');
  await events.waitFor(labelled.name, 'die');
  const problems = await getJson<ShownProblem[]>(`http://${address}:8080/problems`);
  const said = problems.map(({ severity, message }) => [severity, message]);
  expect(said).toHaveLength(3);
  expect(said).toContainEqual([
    'error',
    `service "own": the proxy itself runs in container ${own}; it can't be a service of its own`,
  ]);
  expect(said).toContainEqual([
    'error',
    `dependants: the proxy itself runs in container ${own}; it is left out`,
  ]);
  expect(events.of(own, 'die')).toEqual([]);
});

test('a port goes to the older container, whatever their names, also after a restart of the proxy', async (context) => {
  const bed = await open(context);
  const { scope, labels } = bed;
  const port = await freePort();
  const server = (short: string) => ({
    name: scope.name(short),
    cmd: httpdCommand({ body: short }),
    labels: labels({ ports: `${port}:80` }),
  });
  const older = await scope.createContainer(server('mdb'));
  const first = await bed.startProxy();
  // The engine's lists tell whole seconds.
  const madeMs = Date.parse((await older.inspect()).Created);
  await waitUntil(() => Date.now() >= madeMs + 2_000, { what: 'a second that is another one' });
  await scope.createContainer(server('aaa'));
  await first.waitForLog('problem');
  expect((await get(port)).body).toBe('mdb');
  await first.stop();
  const second = await bed.startProxy();
  expect((await get(port)).body).toBe('mdb');
  const problems = await getJson<ShownProblem[]>(`${second.statusUrl}/problems`);
  expect(problems.map(({ message }) => message)).toEqual([
    `ports: "${scope.name('aaa')}" can't listen on tcp *:${port}: "${older.name}" has it; it is taken over once free`,
  ]);
});

test('mistakes in labels are told ten at a time, and ports of labels are bounded', async (context) => {
  const bed = await open(context);
  const { scope, labels } = bed;
  const port = await freePort();
  const many = Array.from({ length: 1_000 }, (_, index) => `?${index}`);
  await scope.createContainer(spec(bed, 'bad', { dependants: many }));
  await scope.createContainer(spec(bed, 'greedy', { ports: '20000-30000:20000-30000' }));
  await scope.createContainer({ ...spec(bed, 'good'), labels: labels({ ports: `${port}:80` }) });
  const proxy = await bed.startProxy();
  expect((await get(port)).body).toBe('hello');
  const problems = await getJson<ShownProblem[]>(`${proxy.statusUrl}/problems`);
  const messages = problems.map(({ message }) => message);
  expect(messages).toHaveLength(12);
  expect(messages).toContain('and 990 more');
  expect(messages).toContain(
    `ports: 10,001 ports are asked for, and labels can have 1,024 for one workload; a service of the file may have more; until then container ${scope.name('greedy')} is refused as a whole`,
  );
  expect(proxy.logs().filter(({ event }) => event === 'problem')).toHaveLength(12);
});

test('the labels of an image count for nothing where the settings say so', async (context) => {
  const bed = await open(context);
  const { scope } = bed;
  const [inherited = 0, added = 0, late = 0] = await freePorts(3);
  const labels = bed.labels({ ports: `${inherited}:80` });
  const image = await scope.createImage({
    from: await busyboxImage(),
    changes: Object.entries(labels).map(([label, value]) => `LABEL ${label}="${value}"`),
  });
  await scope.createContainer({ ...spec(bed, 'inherits'), image });
  // The engine doesn't tell these from what it has inherited.
  await scope.createContainer({ ...spec(bed, 'repeats'), image, labels });
  await scope.createContainer(spec(bed, 'adds', { ports: `${added}:80` }));
  const proxy = await bed.startProxy({ config: JSON.stringify({ docker: { image_labels: false } }) });
  const rows = () => getJson<{ container_name: string }[]>(`${proxy.statusUrl}/status`);
  expect((await rows()).map(({ container_name: name }) => name)).toEqual([scope.name('adds')]);
  const told = proxy.logs().filter(({ event }) => event === 'problem');
  const leftOut = `label ${scope.prefix}.enabled: the image has the same label`;
  expect(told.map(({ msg }) => msg).toSorted()).toEqual(
    ['inherits', 'repeats'].map((short) =>
      expect.stringContaining(`container ${scope.name(short)}, ${leftOut}`),
    ),
  );
  expect(await getJson(`${proxy.statusUrl}/problems`)).toHaveLength(2);
  const printed = await runCli([
    'print-effective-config',
    '--label-prefix',
    scope.prefix,
    '--config',
    proxy.configFile,
  ]);
  expect(printed.stderr).toContain(
    `container ${scope.name('repeats')}, label ${scope.prefix}.enabled warning the image has the same label`,
  );
  expect((await get(added)).body).toBe('hello');
  const optIn = { [`${scope.prefix}.enabled`]: 'TRUE', [`${scope.prefix}.ports`]: `${late}:80` };
  const from = proxy.logs().length;
  await scope.createContainer({ ...spec(bed, 'overrides'), image, labels: optIn });
  await proxy.waitForLog('reload', { from });
  expect((await get(late)).body).toBe('hello');
  expect(await rows()).toHaveLength(2);
});

test('labels of an image under one prefix, and of its containers under the other, are told apart', async (context) => {
  const bed = await open(context);
  const { scope } = bed;
  const [inherited = 0, added = 0] = await freePorts(2);
  const [first, second] = [`${scope.prefix}-first`, `${scope.prefix}-second`];
  const image = await scope.createImage({
    from: await busyboxImage(),
    changes: [`LABEL ${second}.enabled="true"`, `LABEL ${second}.ports="${inherited}:80"`],
  });
  const container = (short: string, labels: Readonly<Record<string, string>>) =>
    scope.createContainer({ ...spec(bed, short), image, labels });
  await container('inherits', {});
  await container('adds', { [`${first}.enabled`]: 'true', [`${first}.ports`]: `${added}:80` });
  await container('stays-out', { [`${first}.enabled`]: 'false' });
  const proxy = await bed.startProxy({
    args: ['--label-prefix', `${first},${second}`],
    config: JSON.stringify({ docker: { image_labels: false } }),
  });
  expect((await get(added)).body).toBe('hello');
  const rows = await getJson<{ container_name: string }[]>(`${proxy.statusUrl}/status`);
  expect(rows.map(({ container_name: name }) => name)).toEqual([scope.name('adds')]);
  const told = proxy.logs().filter(({ event }) => event === 'problem');
  expect(told.map(({ msg }) => msg)).toEqual([
    expect.stringContaining(
      `container ${scope.name('inherits')}, label ${second}.enabled: the image has the same label`,
    ),
  ]);
});
