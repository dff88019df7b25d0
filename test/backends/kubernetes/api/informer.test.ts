import { expect, test } from 'vitest';
import { LIST, setUpInformer, WATCH } from '../informer-fixture.ts';

test('start() resolves when all that is there was told and the watch is in force', async () => {
  const { api, informer, changes, states, ...bench } = await setUpAwake();
  bench.deploy('db', 2);
  bench.deploy('web', 0);
  await informer.start();
  expect(changes).toEqual(['+shop/db 2', '+shop/web 0']);
  expect(states).toEqual(['synced']);
  expect([informer.get('shop/db'), informer.synced]).toEqual([2, true]);
  expect([...informer.all()]).toEqual([
    ['shop/db', 2],
    ['shop/web', 0],
  ]);
  expect(api.watches.count()).toBe(1);
});

test('a list comes in pages, and the watch begins at its version', async () => {
  const { api, informer, changes, ...bench } = await setUpAwake();
  for (let index = 0; index < 1_203; index++) bench.deploy(`app-${index}`, 1);
  await informer.start();
  expect(new Set(changes).size).toBe(1_203);
  expect(api.count(LIST)).toBe(3);
  expect(api.requests.at(-1)?.line).toContain('resourceVersion=2203');
});

test('a list whose next page is too old is begun again', async () => {
  const { api, informer, changes, states, ...bench } = await setUpAwake();
  for (let index = 0; index < 501; index++) bench.deploy(`app-${index}`, 1);
  api.scripts.before(/continue=/, () => api.expirePages());
  await informer.start();
  expect(changes.length).toBe(501);
  expect(states).toEqual(['synced']);
  expect(api.count(LIST)).toBe(4);
});

test('changes are told once and in order', async () => {
  const { api, informer, changes, ...bench } = await setUpAwake();
  await informer.start();
  bench.deploy('db', 0);
  bench.deploy('db', 1);
  api.remove('deployments', 'shop/db');
  bench.deploy('db', 3);
  await bench.barrier();
  expect(changes).toEqual(['+shop/db 0', 'shop/db 0→1', '-shop/db 1', '+shop/db 3']);
});

test('a watch that ends in order is resumed without a list, and nothing is lost between', async () => {
  const { api, informer, changes, states, ...bench } = await setUpAwake();
  await informer.start();
  bench.deploy('db', 1);
  await bench.until(() => changes.length === 1);
  for (let replicas = 2; replicas <= 6; replicas++) {
    const release = api.scripts.hang(WATCH);
    api.watches.end();
    await api.requested(WATCH, replicas);
    bench.deploy('db', replicas);
    release();
    await bench.until(() => changes.length === replicas);
  }
  expect(changes.at(-1)).toBe('shop/db 5→6');
  expect(api.count(LIST)).toBe(1);
  expect(states).toEqual(['synced']);
});

test('a bookmark moves the version from which a watch is resumed', async () => {
  const { api, informer } = await setUpAwake();
  await informer.start();
  const version = api.bookmark();
  api.watches.end();
  await api.requested(WATCH, 2);
  expect(api.requests.at(-1)?.line).toContain(`resourceVersion=${version}`);
  expect(api.requests.at(-1)?.line).toContain('allowWatchBookmarks=true');
});

test.each(['end', 'drop'] as const)(
  'an event that is cut in the middle (%s) is told whole when the watch is resumed',
  async (how) => {
    const { api, informer, changes, states, ...bench } = await setUpAwake();
    bench.deploy('db', 1);
    await informer.start();
    api.cutChange('deployments', 'shop/db', {
      how,
      apply: (object) => {
        object.spec.replicas = 2;
      },
    });
    await bench.until(() => changes.length === 2);
    expect(changes[1]).toBe('shop/db 1→2');
    expect(api.count(LIST)).toBe(1);
    expect(states).toEqual(['synced']);
  },
);

test('events that come twice, and late again, are told once', async () => {
  const { api, informer, changes, ...bench } = await setUpAwake();
  await informer.start();
  api.watches.tellEvents('twice');
  bench.deploy('db', 1);
  const old = JSON.stringify({ type: 'MODIFIED', object: api.get('deployments', 'shop/db') });
  bench.deploy('db', 2);
  api.watches.write(`${old}\n`);
  api.remove('deployments', 'shop/db');
  api.watches.write(`${old}\n`);
  await bench.barrier();
  expect(changes).toEqual(['+shop/db 1', 'shop/db 1→2', '-shop/db 2']);
});

test('an event that can not be read makes a new list', async () => {
  const { api, informer, changes, ...bench } = await setUpAwake();
  await informer.start();
  api.watches.tellEvents('silent');
  bench.deploy('db', 1);
  api.watches.tellEvents('faithful');
  api.watches.write('{"type":"ADDED","object":\n');
  await bench.until(() => changes.length === 1);
  expect(api.count(LIST)).toBe(2);
});

test.each([
  ['in the head', () => {}],
  [
    'as an event',
    ({ api }: { readonly api: Awaited<ReturnType<typeof setUpAwake>>['api'] }) => {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      api.watches.write(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    },
  ],
])('410 %s makes a new list at once, and only what differs is told', async (_, expire) => {
  const { api, informer, changes, states, ...bench } = await setUpAwake();
  for (const name of ['same', 'changed', 'gone']) bench.deploy(name, 1);
  await informer.start();
  changes.length = 0;
  api.watches.tellEvents('silent');
  bench.deploy('changed', 2);
  bench.deploy('new', 1);
  api.remove('deployments', 'shop/gone');
  api.watches.tellEvents('faithful');
  api.expireVersions();
  expire({ api });
  api.watches.end();
  await bench.until(() => changes.length === 3);
  expect(changes).toEqual(['-shop/gone 1', 'shop/changed 1→2', '+shop/new 1']);
  await bench.barrier();
  expect(api.count(LIST)).toBe(2);
  expect(states).toEqual(['synced']);
});

test('nothing is told after close(), not even what came in one piece with the last change', async () => {
  const bench = await setUpInformer();
  const { api, informer, changes } = bench;
  await informer.start();
  api.watches.tellEvents('silent');
  const lines = ['web', 'app'].map((name) => {
    bench.deploy(name, 1);
    return `${JSON.stringify({ type: 'ADDED', object: api.get('deployments', `shop/${name}`) })}\n`;
  });
  const closed = new Promise<void>((resolve) => {
    bench.onChange = () => void informer.close().then(resolve);
  });
  api.watches.write(lines.join(''));
  await closed;
  await informer.close();
  expect(changes).toEqual(['+shop/web 1']);
  await expect.poll(() => api.watches.count()).toBe(0);
});

/** The bench's parts, its methods bound, so that a test can take it apart. */
async function setUpAwake() {
  const bench = await setUpInformer();
  const { api, informer, changes, states, refusals } = bench;
  return {
    ...{ api, informer, changes, states, refusals },
    deploy: bench.deploy.bind(bench),
    until: bench.until.bind(bench),
    barrier: bench.barrier.bind(bench),
  };
}
