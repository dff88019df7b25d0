import { expect, test } from 'vitest';
import { EngineRefusal } from '../../../src/backends/engine/errors.ts';
import { DB, ENABLED, setUp, within } from './backend-fixture.ts';

/** A Docker backend whose engine has a container that runs, and knows one exec. */
async function setUpExec() {
  const bench = await setUp();
  const { engine, backend, sink } = bench;
  const container = engine.create('db', { labels: ENABLED });
  engine.change(container, 'start', { status: 'running' });
  await backend.open(sink);
  const exec = 'e'.repeat(64);
  engine.answer(/^POST \/containers\/\S+\/exec$/, { Id: exec });
  engine.answer(/^POST \/exec\/\S+\/start/, {});
  return bench;
}

test.each([0, 3])('runCommand() tells the exit status %i of a command in the container', async (ExitCode) => {
  const { engine, backend } = await setUpExec();
  const end = engine.answer(/^GET \/exec\/\S+\/json/, { Running: true, ExitCode: null });
  const status = backend.runCommand(DB, { command: ['pgrep', 'backup'], ...within(5_000) });
  // Its output has ended before the engine says so of the command.
  await engine.requestedTimes(/^GET \/exec\//, 2);
  end();
  engine.answer(/^GET \/exec\/\S+\/json/, { Running: false, ExitCode });
  expect(await status).toBe(ExitCode);
});

test.each([
  ['may not be made', /^POST \/containers\/\S+\/exec$/],
  ['may not be started', /^POST \/exec\/\S+\/start/],
  ['may not be looked at', /^GET \/exec\//],
])('runCommand() fails with the reason where, as behind a socket proxy, an exec %s', async (_, pattern) => {
  const { engine, backend } = await setUp();
  const container = engine.create('db', { labels: ENABLED });
  engine.change(container, 'start', { status: 'running' });
  await backend.open({ observed() {}, labelled() {}, reachable() {} });
  engine.refuse(pattern, { status: 403, message: 'Forbidden' });
  engine.answer(/^POST \/containers\/\S+\/exec$/, { Id: 'e'.repeat(64) });
  engine.answer(/^POST \/exec\/\S+\/start/, {});
  const failed = backend.runCommand(DB, { command: ['true'], ...within(5_000) });
  await expect(failed).rejects.toBeInstanceOf(EngineRefusal);
  await expect(failed).rejects.toMatchObject({ status: 403, message: expect.stringContaining('Forbidden') });
});

test('runCommand() gives up when its signal aborts, and where there is no such container', async () => {
  const { engine, backend } = await setUpExec();
  engine.answer(/^GET \/exec\/\S+\/json/, { Running: true });
  const given = new AbortController();
  const status = backend.runCommand(DB, { command: ['sleep', '9'], signal: given.signal });
  await engine.requestedTimes(/^GET \/exec\//, 1);
  given.abort(new Error('it took too long'));
  await expect(status).rejects.toThrow('it took too long');
  const other = backend.runCommand(
    { kind: 'docker', container: 'web' },
    { command: ['true'], ...within(5_000) },
  );
  await expect(other).rejects.toThrow('there is no such container');
});
