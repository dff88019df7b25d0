import { describe, expect, test } from 'vitest';
import { EMPTY_ENVIRONMENT } from '../../src/config/environment.ts';
import { resolveSettings } from '../../src/config/resolve-settings.ts';
import type { SettingsFlags } from '../../src/config/settings.ts';
import { findNeededEngines, labelOptionsOf } from '../../src/proxy/engines.ts';
import { buildTable } from '../../src/table/build-table.ts';
import { aFile } from '../support/builders.ts';

function findNeeded(text: string, flags: SettingsFlags = {}) {
  const layers = { file: aFile(text), environment: EMPTY_ENVIRONMENT, flags };
  const { settings } = resolveSettings(layers);
  return findNeededEngines(settings, buildTable({ ...layers, labelled: [], holders: new Map() }));
}

describe('findNeededEngines', () => {
  test.each([
    ['labels of containers and Swarm services count', 'services: {}', ['docker', 'swarm']],
    ['annotations count', 'backend: kubernetes', ['kubernetes']],
    [
      'labels are left out and the file has a container',
      'docker: { labels: false }\nservices: { db: { ports: ["1:1"] } }',
      ['docker'],
    ],
    [
      'labels are left out and the file has a process alone',
      'docker: { labels: false }\nservices: { db: { command: [db], ports: ["1:2"] } }',
      [],
    ],
    [
      'the file has workloads of another engine as well',
      'backend: kubernetes\nservices: { db: { container: db, ports: ["1:1"] } }',
      ['docker', 'kubernetes'],
    ],
  ])('names those that have to be asked where %s', (_when, text, engines) => {
    expect(findNeeded(text)).toEqual(engines);
  });

  test('takes flags into account', () => {
    expect(findNeeded('services: {}', { labels: false })).toEqual([]);
  });
});

describe('labelOptionsOf', () => {
  test('lets the labels of one backend count', () => {
    const file = aFile('backend: kubernetes\nkubernetes: { label_prefix: sleepy }');
    const { settings } = resolveSettings({ file, environment: EMPTY_ENVIRONMENT, flags: {} });
    expect(labelOptionsOf('kubernetes', settings)).toEqual({ labels: true, labelPrefixes: ['sleepy'] });
    expect(labelOptionsOf('docker', settings).labels).toBe(false);
    expect(labelOptionsOf('swarm', settings).labels).toBe(false);
  });
});
