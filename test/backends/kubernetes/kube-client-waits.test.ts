import { expect, test } from 'vitest';
import { KubeClient } from '../../../src/backends/kubernetes/api/kube-client.ts';
import { KubeUnreachable } from '../../../src/backends/kubernetes/api/kube-errors.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { HOSTILE_ANSWERS } from '../../support/hostile-answers.ts';
import { Sockets } from '../../support/sockets.ts';
import { DB, DEPLOYMENTS, setUpClient } from './access-fixture.ts';

test.each([/\/db$/, /watch=true/])(
  'an answer to %s that never comes is given up after 5 s',
  async (pattern) => {
    const clock = new FakeClock();
    const { api, client, signal } = await setUpClient({ clock });
    api.scripts.hang(pattern);
    const asked = pattern.test(DB)
      ? client.request({ method: 'GET', path: DB, signal })
      : client.watch({ path: DEPLOYMENTS, signal });
    const given = expect(asked).rejects.toEqual(
      new KubeUnreachable(`no answer from ${api.server} within 5 s`),
    );
    await api.requested(pattern);
    await clock.advance(5_000);
    await given;
    expect(clock.pending).toBe(0);
  },
);

test.each(HOSTILE_ANSWERS.flatMap((hostile) => ['request', 'watch'].map((what) => ({ ...hostile, what }))))(
  'a $what ends by its deadline when the API server answers with $name',
  async ({ what, ...hostile }) => {
    const clock = new FakeClock();
    const sockets = new Sockets();
    let asked = 0;
    const { port } = await sockets.listen((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          asked++;
          hostile.answer(socket);
        });
    });
    const access = { server: `http://127.0.0.1:${port}`, namespace: undefined, authorize: async () => ({}) };
    const client = new KubeClient({ access, clock });
    const caller = new AbortController();
    const { signal } = caller;
    const path = what === 'watch' ? DEPLOYMENTS : DB;
    const asking =
      what === 'watch' ? client.watch({ path, signal }) : client.request({ method: 'GET', path, signal });
    const outcome = asking.then(
      () => undefined,
      (error: unknown) => error,
    );
    while (asked === 0) await settle();
    // A body may take its time as long as it keeps coming.
    if (hostile.name.includes('without end')) caller.abort(new KubeUnreachable('nobody waits any more'));
    else if (hostile.hangs === true || hostile.status === 500) {
      for (let count = 0; count < 3; count++) await clock.advance(5_000);
    }
    expect(await outcome).toBeInstanceOf(KubeUnreachable);
    client.close();
    await sockets.close();
    expect(clock.pending).toBe(0);
  },
);

test('an answer may take long as long as it keeps coming', async () => {
  const clock = new FakeClock();
  const { api, client, signal } = await setUpClient({ clock });
  const taken = api.scripts.takeOver(/db$/);
  const asked = client.request({ method: 'GET', path: DB, signal });
  const response = await taken;
  for (const piece of ['{"parts"', ':', '3']) {
    await clock.advance(4_000);
    response.write(piece);
    await expect.poll(() => clock.delaysMs, { interval: 1 }).toEqual([5_000]);
  }
  response.end('}');
  expect(await asked).toEqual({ parts: 3 });
  expect(clock.pending).toBe(0);
});

test('credentials that never come are given up after 5 s', async () => {
  const clock = new FakeClock();
  const { signal } = new AbortController();
  const access = {
    server: 'http://127.0.0.1:9',
    namespace: undefined,
    authorize: () => new Promise<never>(() => {}),
  };
  const asked = new KubeClient({ access, clock }).request({ method: 'GET', path: DB, signal });
  const given = expect(asked).rejects.toThrow('no answer from http://127.0.0.1:9 within 5 s');
  await clock.advance(5_000);
  await given;
});

test('request() and watch() end with the signal’s own reason', async () => {
  const { api, client } = await setUpClient();
  api.scripts.hang(/deployments/);
  const reason = new Error('nobody waits any more');
  const asking = new AbortController();
  const { signal } = asking;
  const asked = Promise.allSettled([
    client.request({ method: 'GET', path: DB, signal }),
    client.watch({ path: DEPLOYMENTS, signal }),
  ]);
  await api.requested(/deployments/, 2);
  asking.abort(reason);
  expect(await asked).toEqual([
    { status: 'rejected', reason },
    { status: 'rejected', reason },
  ]);
  await expect(client.request({ method: 'GET', path: DB, signal })).rejects.toBe(reason);
  expect(api.requests.length).toBe(2);
});

test('a watch tells events until its signal aborts, without a timer', async () => {
  const clock = new FakeClock();
  const { api, client } = await setUpClient({ clock });
  const watching = new AbortController();
  const events = await client.watch({ path: DEPLOYMENTS, signal: watching.signal });
  expect(clock.pending).toBe(0);
  const told = (async () => {
    const names: string[] = [];
    for await (const { object } of events) {
      names.push((object as { readonly metadata: { readonly name: string } }).metadata.name);
      if (names.length === 2) watching.abort(new Error(`enough: ${names}`));
    }
  })();
  const ended = expect(told).rejects.toThrow('enough: db,web');
  api.put('deployments', { metadata: { name: 'web', namespace: 'shop' } });
  await ended;
  await expect.poll(() => api.watches.count()).toBe(0);
});

test('a watch that is refused leaves no timer', async () => {
  const clock = new FakeClock();
  const { api, client, signal } = await setUpClient({ clock });
  api.scripts.forbid('watch deployments');
  const refused = client.watch({ path: DEPLOYMENTS, signal });
  await expect(refused).rejects.toMatchObject({ status: 403 });
  expect(clock.pending).toBe(0);
});

test('a connection is closed when the reader of a watch leaves', async () => {
  const { api, client, signal } = await setUpClient();
  for await (const _ of await client.watch({ path: DEPLOYMENTS, signal })) break;
  await expect.poll(() => api.watches.count()).toBe(0);
});
