/** examples/kubernetes/ on a real API server, which refuses what it doesn't understand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { codeBlocksOf } from '../support/documentation.ts';
import { runProgram } from '../support/run-program.ts';
import type { KubeObject } from './support/admin-client.ts';
import { findControlPlane, kubectl } from './support/control-plane.ts';

const FOLDER = 'examples/kubernetes';
const plane = findControlPlane();

/** Every object of the example, as kustomize makes it. */
async function readManifests(): Promise<readonly KubeObject[]> {
  const documents = parseAllDocuments(await kubectl(plane, ['kustomize', FOLDER]));
  if (!Array.isArray(documents)) throw new Error('kustomize made nothing');
  return documents.map((document) => document.toJS());
}

test('every manifest is taken by the API server', async () => {
  await kubectl(plane, ['apply', '-k', FOLDER, '--validate=strict']);
  const manifests = await readManifests();
  expect(manifests.map(({ kind }) => kind).toSorted()).toEqual([
    ...[
      'ClusterRole',
      'ClusterRoleBinding',
      'ConfigMap',
      'Deployment',
      'Deployment',
      'Namespace',
      'Namespace',
    ],
    ...['Role', 'RoleBinding', 'Service', 'Service', 'ServiceAccount'],
  ]);
  for (const { kind, metadata } of manifests) {
    const { name, namespace = 'default' } = metadata;
    const found = await kubectl(plane, ['get', kind, name, '--namespace', namespace, '--output', 'name']);
    expect(found.trim()).toContain(name);
  }
});

test('applied again, nothing is changed', async () => {
  await kubectl(plane, ['apply', '-k', FOLDER]);
  const output = await kubectl(plane, ['apply', '-k', FOLDER]);
  for (const line of output.trim().split('\n')) expect(line).toMatch(/ unchanged$/);
});

test('the configuration in the ConfigMap is valid', async () => {
  const manifests = await readManifests();
  const { data } = manifests.find(({ kind }) => kind === 'ConfigMap');
  expect(Object.keys(data)).toEqual(['lazy-proxy.yaml']);
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-example-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'lazy-proxy.yaml');
  await writeFile(file, data['lazy-proxy.yaml']);
  expect(await runProgram(['validate', file])).toMatchObject({ status: 0 });
});

test('every port of the proxy leads to its pods', async () => {
  const manifests = await readManifests();
  const ofProxy = (wanted: string) =>
    manifests.find(({ kind, metadata }) => kind === wanted && metadata.name === 'lazy-proxy');
  const { ports } = ofProxy('Deployment').spec.template.spec.containers[0];
  const names = ports.map((port: KubeObject) => port.name);
  for (const { targetPort } of ofProxy('Service').spec.ports) expect(names).toContain(targetPort);
});

test.each(codeBlocksOf('docs/kubernetes.md').filter(({ text }) => text.includes('apiVersion:')))(
  'the manifests at $place are taken by the API server',
  async ({ text }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lpt-docs-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'manifests.yaml');
    await writeFile(file, text);
    const applied = await kubectl(plane, [
      'apply',
      '--filename',
      file,
      '--dry-run=server',
      '--validate=strict',
    ]);
    expect(applied).toContain('deployment.apps/db created');
    expect(applied).toContain('service/db created');
  },
);
