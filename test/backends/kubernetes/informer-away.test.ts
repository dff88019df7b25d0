import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/system/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { LIST, setUpInformer, WATCH } from './informer-fixture.ts';

test('start() resolves where the API server is away, and all works when it comes', async () => {
  const bench = await setUpInformer();
  const { api, informer } = bench;
  bench.deploy('db', 1);
  await api.goAway();
  await informer.start();
  expect(bench.states).toEqual([expect.stringContaining('ECONNREFUSED')]);
  expect(informer.synced).toBe(false);
  await api.comeBack();
  await bench.until(() => informer.synced);
  expect(bench.changes).toEqual(['+shop/db 1']);
});

test('a watch is resumed without a list when the API server returns', async () => {
  const bench = await setUpInformer();
  const { api, informer } = bench;
  bench.deploy('db', 1);
  await informer.start();
  await api.goAway();
  await bench.until(() => !informer.synced);
  expect(informer.get('shop/db')).toBe(1);
  bench.deploy('db', 2);
  await api.comeBack();
  await bench.until(() => informer.synced && bench.changes.length === 2);
  expect(bench.changes[1]).toBe('shop/db 1→2');
  expect(api.count(LIST)).toBe(1);
  expect(bench.states).toEqual(['synced', expect.stringContaining('ECONNREFUSED'), 'synced']);
});

test('a connection that breaks once is no outage', async () => {
  const bench = await setUpInformer();
  await bench.informer.start();
  bench.api.watches.drop();
  await bench.barrier();
  expect(bench.states).toEqual(['synced']);
});

test('a deletion that was never told is told when the versions are too old to resume', async () => {
  const bench = await setUpInformer();
  const { api, informer } = bench;
  bench.deploy('db', 1);
  await informer.start();
  await api.goAway();
  await bench.until(() => !informer.synced);
  api.remove('deployments', 'shop/db');
  api.expireVersions();
  await api.comeBack();
  await bench.until(() => informer.synced && bench.changes.length === 2);
  expect(bench.changes[1]).toBe('-shop/db 1');
});

test('retries wait 100 ms at first and 5 s at last, and are told once', async () => {
  const delaysMs: number[] = [];
  const clock: Clock = {
    ...systemClock,
    async sleep(delayMs) {
      if (delaysMs.push(delayMs) === 8) relent();
    },
  };
  const bench = await setUpInformer({ clock });
  const { api, informer } = bench;
  const relent = api.scripts.refuse(LIST, { status: 503, message: 'not today' });
  await informer.start();
  await bench.until(() => informer.synced);
  expect(delaysMs).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(bench.states).toEqual(['not today', 'synced']);
});

test.each(['list', 'watch'])(
  'a %s that is to wait waits as long as the API server asks for',
  async (verb) => {
    const clock = new FakeClock();
    const bench = await setUpInformer({ clock });
    const { api, informer } = bench;
    const pattern = verb === 'list' ? LIST : WATCH;
    api.scripts.refuse(pattern, { status: 429, message: 'too many', retryAfter: '7', times: 1 });
    await informer.start();
    expect(clock.delaysMs).toEqual([7_000]);
    await clock.advance(6_999);
    expect(api.count(pattern)).toBe(1);
    await clock.advance(1);
    await bench.until(() => informer.synced);
  },
);

test('a watch that fails with 503 is listed again from the memory of the API server', async () => {
  const bench = await setUpInformer();
  const { api, informer } = bench;
  await informer.start();
  api.scripts.refuse(WATCH, { status: 503, message: 'not today', times: 1 });
  api.watches.end();
  await bench.until(() => api.count(LIST) === 2);
  await bench.until(() => informer.synced);
  const lists = api.requests.map(({ line }) => line).filter((line) => LIST.test(line));
  expect(lists.map((line) => /resourceVersion=(\w+)/.exec(line)?.[1])).toEqual([undefined, '0']);
});

test('a list from the memory of the API server that is older than what is known is made again', async () => {
  const bench = await setUpInformer();
  const { api, informer } = bench;
  await informer.start();
  api.scripts.refuse(WATCH, { status: 503, message: 'not today', times: 1 });
  const body = JSON.stringify({ metadata: { resourceVersion: '0' }, items: [] });
  api.scripts.answerWith(/resourceVersion=0(?!\d)/, { status: 200, body, times: 1 });
  api.watches.end();
  await bench.until(() => api.count(LIST) === 3);
  await bench.until(() => informer.synced);
  const lists = api.requests.map(({ line }) => line).filter((line) => LIST.test(line));
  expect(lists.map((line) => line.includes('resourceVersion=0'))).toEqual([false, true, false]);
});

test.each(['list', 'watch'])(
  'a right to %s that is missing is told in the API server’s words',
  async (verb) => {
    const bench = await setUpInformer();
    const { api, informer } = bench;
    const grant = api.scripts.forbid(`${verb} deployments`);
    await informer.start();
    expect(bench.states).toEqual([
      `deployments.apps is forbidden: User "system:serviceaccount:lazy-proxy:lazy-proxy" cannot ${verb} resource "deployments" in API group "apps" in the namespace "shop"`,
    ]);
    expect(bench.refusals).toEqual([403]);
    grant();
    await bench.until(() => informer.synced);
  },
);

test('another reason is told, too', async () => {
  const bench = await setUpInformer();
  const { api, informer } = bench;
  const relent = api.scripts.refuse(LIST, { status: 500, message: 'etcd has no leader' });
  await informer.start();
  api.scripts.forbid('list deployments');
  relent();
  await bench.until(() => bench.states.length === 2);
  expect(bench.states[1]).toContain('cannot list resource "deployments"');
});

test('an answer that never comes is given up after 5 s', async () => {
  const clock = new FakeClock();
  const bench = await setUpInformer({ clock });
  const { api, informer } = bench;
  const release = api.scripts.hang(LIST);
  const started = informer.start();
  await api.requested(LIST);
  await clock.advance(4_999);
  expect(bench.states).toEqual([]);
  await clock.advance(1);
  await started;
  expect(bench.states).toEqual([`no answer from ${api.server} within 5 s`]);
  release();
  await expect.poll(() => clock.delaysMs, { interval: 1 }).toEqual([100]);
  await clock.advance(100);
  await bench.until(() => informer.synced);
});

test('a watch that the API server never ends is dead, and is resumed', async () => {
  const clock = new FakeClock();
  const bench = await setUpInformer({ clock });
  await bench.informer.start();
  expect(bench.api.requests.at(-1)?.line).toContain('timeoutSeconds=300');
  await clock.advance(315_000);
  await bench.api.requested(WATCH, 2);
  expect(bench.states).toEqual(['synced']);
  await bench.informer.close();
  expect(clock.pending).toBe(0);
});

test('close() ends a wait for the next try, and a request that has no answer', async () => {
  const clock = new FakeClock();
  const waiting = await setUpInformer({ clock });
  await waiting.api.goAway();
  await waiting.informer.start();
  await waiting.informer.close();
  const asking = await setUpInformer({ clock });
  asking.api.scripts.hang(LIST);
  const started = asking.informer.start();
  await asking.api.requested(LIST);
  await asking.informer.close();
  await started;
  expect([...waiting.states.slice(1), ...asking.states]).toEqual([]);
  expect(clock.pending).toBe(0);
});
