import { expect, test } from 'vitest';
import { createApp, DB, KEY, setUp, setUpOpen } from './backend-fixture.ts';

const ELSEWHERE = 'secrets';
/** What an API server would have to be broken, or somebody else, to tell. */
const HOSTILE = [
  `../../${ELSEWHERE}?x=`,
  `..%2f..%2f${ELSEWHERE}`,
  '',
  '..',
  'Db',
  'a'.repeat(254),
  'a_b',
  'db-',
];
const shown = (text: string) => JSON.stringify(text.slice(0, 80));

test.each(HOSTILE)('a list with an object that is named %j is an error of the API server’s', async (name) => {
  const { api, backend, sink } = await setUp();
  api.put('deployments', { metadata: { name, namespace: 'shop' }, spec: { replicas: 1 } });
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.reachability).toEqual([
    expect.stringContaining(`the API server tells ${shown(name)} as the name of an object`),
  ]);
  expect(api.requests.filter(({ line }) => line.includes(ELSEWHERE))).toEqual([]);
});

test('a list with an object in a namespace that is none is an error of the API server’s', async () => {
  const { api, backend, sink } = await setUp();
  api.put('deployments', {
    metadata: { name: 'db', namespace: `../../${ELSEWHERE}` },
    spec: { replicas: 1 },
  });
  await backend.open(sink);
  expect(sink.reachability).toEqual([expect.stringContaining('as the namespace of an object')]);
});

test.each(HOSTILE)(
  'the event of an object that is named %j is an error of the API server’s',
  async (name) => {
    const { api, sink } = await setUpOpen({ replicas: 1 });
    expect(sink.last(KEY)?.state).toBe('running');
    api.put('deployments', { metadata: { name, namespace: 'shop' }, spec: { replicas: 1 } });
    await sink.until(() => sink.reachability.length === 2);
    expect(sink.reachability[1]).toContain(`the API server tells ${shown(name)} as the name of an object`);
    expect(sink.last(KEY)?.state).toBe('running');
    expect(api.requests.filter(({ line }) => line.includes(ELSEWHERE))).toEqual([]);
  },
);

test('names may have dots, and parts that are longer than a label', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 1 });
  api.put('deployments', {
    metadata: { name: `a.${'b'.repeat(200)}`, namespace: 'shop' },
    spec: { replicas: 1 },
  });
  await backend.open(sink);
  expect(sink.reachability).toEqual([true]);
});
