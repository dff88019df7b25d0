import { expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createDockerBackend } from '../../support/lone-backends.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';
import { RecordingSink } from '../recording-sink.ts';

test('an id that would lead elsewhere in the API leads nowhere', async () => {
  const engine = await ScriptedEngine.start();
  onTestFinished(() => engine.close());
  const Id = '../../images/prune?x=';
  engine.answer(/^GET \/containers\/json/, [{ Id, Names: ['/db'], State: 'exited', Labels: {} }]);
  const backend = createDockerBackend({
    ...{ socket: engine.socketPath, env: {}, clock: new FakeClock(), logger: silentLogger },
    ...{ labels: true, labelPrefixes: ['lazy-tcp-proxy'] },
  });
  onTestFinished(() => backend.close());
  await backend.open(new RecordingSink());
  const db = { kind: 'docker', container: 'db' } as const;
  backend.watch(db);
  await expect(backend.wake(db, { signal: AbortSignal.timeout(5_000) })).rejects.toThrow('container "db"');
  await backend.sleep(db, { graceMs: 0 }).catch(() => {});
  expect(engine.requests.filter((request) => request.includes('/images/prune'))).toEqual([]);
});
