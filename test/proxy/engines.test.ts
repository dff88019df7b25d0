import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { EMPTY_ENVIRONMENT } from '../../src/config/environment.ts';
import { resolveSettings } from '../../src/config/resolve-settings.ts';
import type { SettingsFlags } from '../../src/config/settings.ts';
import { Engines, type EnginesListener, findNeededEngines, labelOptionsOf } from '../../src/proxy/engines.ts';
import { buildTable } from '../../src/table/build-table.ts';
import { aFile } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createRecordingLogger } from '../support/recording-logger.ts';
import { ScriptedEngine } from '../support/scripted-engine.ts';

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

test('an engine that goes away is told once, and the problem says what keeps it away by now', async () => {
  const engine = await ScriptedEngine.start();
  const [clock, logger] = [new FakeClock(), createRecordingLogger()];
  const file = aFile(`docker: { socket: ${engine.socketPath} }\nservices: {}`);
  const { settings } = resolveSettings({ file, environment: EMPTY_ENVIRONMENT, flags: {} });
  const reached = vi.fn<EnginesListener['reached']>();
  const ignored = [
    'observed',
    'runEnded',
    'labelled',
    'populated',
    'ownChanged',
    'refusedStarted',
    'shared',
    'renamed',
  ];
  const listener = {
    ...Object.fromEntries(ignored.map((name) => [name, () => {}])),
    ...{ servedKinds: () => new Set(['docker']), reached },
  } as unknown as EnginesListener;
  const engines = new Engines({ settings, env: {}, pollIntervalMs: undefined, clock, logger, listener });
  onTestFinished(async () => {
    await engines.close();
    await engine.close();
  });
  await engines.open(['docker', 'swarm']);
  expect(engines.problems).toEqual([]);
  await engine.goAway();
  await vi.waitFor(() => expect(engines.problems).toHaveLength(1));
  while (!engines.problems[0]?.message.includes('does the engine run?')) await clock.advance(1_000);
  expect(engines.explain('docker')).toBe('the Docker engine does not answer');
  expect(engines.explain('process')).toBeUndefined();
  // A swarm that nobody has or needs is not missed.
  expect(engines.problems).toMatchObject([{ origin: { kind: 'engine', name: 'the Docker engine' } }]);
  expect(logger.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    'cannot follow the Docker engine: the engine ended the event stream; trying again',
  ]);
  expect(reached.mock.calls.map(([, { reachable }]) => reachable)).toEqual([true, false]);
});
