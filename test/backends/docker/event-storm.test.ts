import { expect, test } from 'vitest';
import type { ScriptedContainer } from '../../support/engine-answers.ts';
import { ENABLED, setUp } from './backend-fixture.ts';

const INSPECT = /^GET \/containers\/[^/]+\/json/;
const CONTAINERS = 200;
const EVENTS = 5_000;

test('a storm of events costs two inspects of each container at most, and ends with what is true', async () => {
  const { engine, backend, sink } = await setUp();
  const names = Array.from({ length: CONTAINERS }, (_, index) => `app-${index}`);
  const containers = names.map((name) => engine.create(name, { status: 'exited' }));
  for (const container of names) backend.watch({ kind: 'docker', container });
  await backend.open(sink);
  const answer = engine.hang(INSPECT);
  engine.write(createStorm(containers, (container, action) => engine.eventLine(container, action)));
  // The last one to be told: then all before it have been.
  engine.create('mark', { labels: ENABLED });
  await sink.until(() => sink.snapshots.length === 2);
  await expect.poll(() => engine.count(INSPECT)).toBeGreaterThanOrEqual(32);
  expect(engine.count(INSPECT)).toBe(32);
  answer();
  const isTold = (name: string, index: number) =>
    sink.last(`docker/${name}`)?.state === (index % 3 === 0 ? 'stopped' : 'running');
  await sink.until(() => names.every(isTold));
  // What was being looked at when the storm came is looked at once more.
  expect(engine.count(INSPECT)).toBeLessThanOrEqual(CONTAINERS + 32);
});

test('1,000 labelled containers that are listed make one snapshot and no inspect', async () => {
  const { engine, backend, sink } = await setUp();
  for (let index = 0; index < 1_000; index++) engine.create(`app-${index}`, { labels: ENABLED });
  await backend.open(sink);
  expect(sink.snapshots.map((snapshot) => snapshot.length)).toEqual([1_000]);
  expect(engine.count(INSPECT)).toBe(0);
});

/** Starts, deaths and health of all, in turn; at the end every third is stopped, the others run. */
function createStorm(
  containers: readonly ScriptedContainer[],
  lineOf: (container: ScriptedContainer, action: string) => string,
): string {
  const actions = ['start', 'health_status: healthy', 'die', 'pause', 'unpause', 'exec_die'];
  const lines: string[] = [];
  for (let number = 0; number < EVENTS - containers.length; number++) {
    const container = containers[number % containers.length];
    const action = actions[(number + Math.floor(number / containers.length)) % actions.length];
    if (container !== undefined && action !== undefined) lines.push(lineOf(container, action));
  }
  for (const [index, container] of containers.entries()) {
    container.status = index % 3 === 0 ? 'exited' : 'running';
    lines.push(lineOf(container, index % 3 === 0 ? 'die' : 'start'));
  }
  return lines.join('');
}
