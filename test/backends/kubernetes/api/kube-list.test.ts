import { expect, test } from 'vitest';
import { listObjects } from '../../../../src/backends/kubernetes/api/kube-list.ts';
import { connect, DEPLOYMENTS, startApi } from '../access-fixture.ts';

const NEXT_PAGE = /continue=/;

test('listObjects brings every page, of what it selects, and the moment’s version', async () => {
  const { api, list } = await setUp({ objects: 501 });
  api.put('deployments', { metadata: { name: 'db', namespace: 'other' } });
  const { items, resourceVersion } = await list();
  expect([new Set(items).size, resourceVersion]).toEqual([501, '1502']);
  const labelled = { labelSelector: 'app=even' };
  expect((await list(labelled)).items.length).toBe(251);
  expect(api.requests.at(-1)?.line).toContain('labelSelector=app=even&limit=500');
});

test('listObjects begins again, once, where the moment is forgotten between pages', async () => {
  const { api, list } = await setUp({ objects: 501 });
  api.scripts.before(NEXT_PAGE, () => api.expirePages());
  expect((await list()).items.length).toBe(501);
  expect(api.requests.length).toBe(4);
  api.scripts.refuse(NEXT_PAGE, { status: 410, message: 'too old' });
  await expect(list()).rejects.toMatchObject({ status: 410 });
  expect(api.requests.length).toBe(8);
});

test('listObjects takes a list of nothing for empty', async () => {
  const { api, list } = await setUp({ objects: 0 });
  api.scripts.answerWith(/deployments/, {
    status: 200,
    body: '{"metadata":{"resourceVersion":"7"},"items":null}',
  });
  expect(await list()).toEqual({ items: [], resourceVersion: '7' });
});

async function setUp({ objects }: { readonly objects: number }) {
  const api = await startApi();
  for (let index = 0; index < objects; index++) {
    const labels = { app: index % 2 === 0 ? 'even' : 'odd' };
    api.put('deployments', { metadata: { name: `app-${index}`, namespace: 'shop', labels } });
  }
  const client = connect(api.access);
  const { signal } = new AbortController();
  const list = (query: Readonly<Record<string, string>> = {}) =>
    listObjects(client, { path: DEPLOYMENTS, query, signal, select: ({ metadata }) => metadata.name });
  return { api, list };
}
