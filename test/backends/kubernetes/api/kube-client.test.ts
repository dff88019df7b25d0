import { expect, test } from 'vitest';
import type { KubeAccess } from '../../../../src/backends/kubernetes/api/kube-transport.ts';
import {
  isPassing,
  KubeRefusal,
  KubeUnreachable,
  readRetryAfter,
  retryDelayMs,
} from '../../../../src/backends/kubernetes/api/kube-errors.ts';
import { connect, DB, DEPLOYMENTS, setUpClient } from '../access-fixture.ts';

test.each([
  [{ 'retry-after': '7' }, 7_000],
  // By the server's own clock.
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:30 GMT', date: 'Thu, 01 Jan 1970 00:00:25 GMT' }, 5_000],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:05 GMT', date: 'Thu, 01 Jan 1970 00:00:25 GMT' }, 0],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:30 GMT' }, undefined],
  [{ 'retry-after': 'soon' }, undefined],
  [{}, undefined],
] as const)('readRetryAfter reads %j as %s ms', (headers, delayMs) => {
  expect(readRetryAfter(headers)).toBe(delayMs);
});

test('retryDelayMs waits as long as it is asked to, but not for ever', () => {
  const asks = (retryAfterMs: number) => new KubeRefusal('x', { status: 429, retryAfterMs });
  expect(retryDelayMs(asks(7_000), 100)).toBe(7_000);
  expect(retryDelayMs(asks(50), 100)).toBe(100);
  expect(retryDelayMs(asks(3_600_000), 100)).toBe(60_000);
  expect(retryDelayMs(new Error('x'), 100)).toBe(100);
});

test('request() sends what it is told, and returns what it is answered', async () => {
  const { api, client, signal } = await setUpClient();
  const scale = await client.request({
    method: 'PATCH',
    path: `${DB}/scale`,
    query: { fieldManager: 'lazy-proxy' },
    contentType: 'application/merge-patch+json',
    body: { spec: { replicas: 3 } },
    signal,
  });
  expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 3 } });
  expect(api.requests[0]).toMatchObject({
    line: `PATCH ${DB}/scale?fieldManager=lazy-proxy`,
    body: { spec: { replicas: 3 } },
    headers: { 'content-type': 'application/merge-patch+json', 'user-agent': 'lazy-proxy' },
  });
});

test('a server below a path is asked below it', async () => {
  const { api, signal } = await setUpClient();
  const client = connect({ ...api.access, server: `${api.server}/k8s/clusters/c1/` });
  const refused = client.request({ method: 'GET', path: DB, signal });
  await expect(refused).rejects.toMatchObject({ status: 404 });
  expect(api.requests[0]?.line).toBe(`GET /k8s/clusters/c1${DB}`);
});

test('a refusal keeps the API server’s status, reason and words', async () => {
  const { api, client, signal } = await setUpClient();
  const missing = client.request({ method: 'GET', path: `${DEPLOYMENTS}/x`, signal });
  const notFound = { status: 404, reason: 'NotFound', message: 'deployments.apps "x" not found' };
  await expect(missing).rejects.toMatchObject(notFound);
  const body = { metadata: { resourceVersion: '1' } };
  const conflict = client.request({ method: 'PATCH', path: DB, body, signal });
  await expect(conflict).rejects.toMatchObject({ status: 409, reason: 'Conflict' });
  api.scripts.forbid('get deployments/scale');
  const forbidden = client.request({ method: 'GET', path: `${DB}/scale`, signal });
  await expect(forbidden).rejects.toThrow('cannot get resource "deployments/scale" in API group "apps"');
});

test.each([
  ['a page of some proxy', '<html>bad gateway</html>\n', '<html>bad gateway</html>'],
  ['a very long page', 'x'.repeat(5_000), 'x'.repeat(200)],
  ['nothing', '', 'it answered with status 502'],
  ['null', 'null', 'null'],
])('a refusal that is %s is told as far as it helps', async (_, body, message) => {
  const { api, client, signal } = await setUpClient();
  api.scripts.answerWith(/deployments/, { status: 502, body });
  const refused = client.request({ method: 'GET', path: DB, signal });
  await expect(refused).rejects.toEqual(new KubeRefusal(message, { status: 502 }));
});

test('something else that answers at the address is not taken for an API server', async () => {
  const { api, client, signal } = await setUpClient();
  api.scripts.answerWith(/deployments/, { status: 200, body: '<html>hello</html>' });
  await expect(client.request({ method: 'GET', path: DB, signal })).rejects.toEqual(
    new KubeUnreachable(`what answers at ${api.server} is not a Kubernetes API server`),
  );
});

test('an answer that is cut short fails as unreachable', async () => {
  const { api, client, signal } = await setUpClient();
  api.scripts.breakOff(/deployments/);
  const cut = client.request({ method: 'GET', path: DB, signal });
  await expect(cut).rejects.toThrow(KubeUnreachable);
  await expect(cut).rejects.toThrow('the answer broke off');
});

test('a connection that is refused names the server', async () => {
  const { api, client, signal } = await setUpClient();
  await api.goAway();
  const refused = client.request({ method: 'GET', path: DB, signal });
  await expect(refused).rejects.toThrow(`cannot reach ${api.server}: connect ECONNREFUSED`);
});

test('idle connections are kept for the next request, and freed by close()', async () => {
  const { api, client, signal } = await setUpClient();
  await client.request({ method: 'GET', path: DB, signal });
  await client.request({ method: 'GET', path: DB, signal });
  expect([api.connections, api.openConnections]).toEqual([1, 1]);
  client.close();
  await expect.poll(() => api.openConnections).toBe(0);
});

test('credentials that are refused are fetched again, once', async () => {
  const { api, signal } = await setUpClient();
  const tokens = ['old', 'new', 'newer'];
  let forgotten = 0;
  const access: KubeAccess = {
    ...api.access,
    authorize: async () => ({ headers: { authorization: `Bearer ${tokens[forgotten]}` } }),
    forget: () => forgotten++,
  };
  const client = connect(access);
  api.requireToken('new');
  await client.request({ method: 'GET', path: DB, signal });
  expect([forgotten, api.requests.length]).toEqual([1, 2]);
  api.requireToken('none of these');
  const refused = client.watch({ path: DEPLOYMENTS, signal });
  await expect(refused).rejects.toThrow(`${api.server} does not accept the credentials (401): Unauthorized`);
  expect([forgotten, api.requests.length]).toEqual([2, 4]);
});

test('an address that is none is refused by name', () => {
  const access = { server: 'kubernetes:443', namespace: undefined, authorize: async () => ({}) };
  expect(() => connect(access)).toThrow('cannot use "kubernetes:443" as the API server\'s address');
});

test.each([
  [new KubeUnreachable('x'), true],
  [new KubeRefusal('x', { status: 429 }), true],
  [new KubeRefusal('x', { status: 503 }), true],
  [new KubeRefusal('x', { status: 403 }), false],
  [new Error('x'), false],
])('isPassing(%s) is %s', (error, passing) => {
  expect(isPassing(error)).toBe(passing);
});
