import util from 'node:util';
import { expect, test, vi } from 'vitest';
import { createEngineClient } from '../../../src/backends/engine/engine-client.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';

const CALLS = 10;

test('a request is not made dearer by the others in flight when dockerode spells out its options', async () => {
  const engine = await ScriptedEngine.start();
  const answer = engine.hang(/_ping/);
  const client = createEngineClient({ kind: 'socket', path: engine.socketPath }, systemClock);
  const spelled = vi.spyOn(util, 'inspect');
  const { signal } = new AbortController();
  const pings = Array.from({ length: CALLS }, () => client.ping(signal));
  await vi.waitFor(() => expect(engine.count(/_ping/)).toBe(CALLS));
  const lengths = spelled.mock.results.map(({ value }) => String(value).length);
  spelled.mockRestore();
  answer();
  await Promise.all(pings);
  client.close();
  await engine.close();
  expect(lengths.length).toBe(CALLS);
  expect(Math.max(...lengths)).toBeLessThan(1_000);
});
