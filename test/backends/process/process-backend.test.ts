import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { WakeError } from '../../../src/backends/backend.ts';
import { ProcessBackend } from '../../../src/backends/process/process-backend.ts';
import type { ProcessWorkload } from '../../../src/model/workload.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { type Logger, silentLogger } from '../../../src/system/log/logger.ts';
import { RecordingSink } from '../recording-sink.ts';

const KEY = 'process/hello';
/** Says `ready` when its handlers are in place, and lives on. */
const LIVE = 'setInterval(() => {}, 1000); console.log("ready");';
const STUBBORN = `process.on("SIGTERM", () => console.log("no")); ${LIVE}`;

/** A backend that is open, and what it prints; it is killed when the test ends. */
async function setUp() {
  const lines: string[] = [];
  const waiters = new Set<() => void>();
  const info: Logger['info'] = (_fields, message) => {
    lines.push(message);
    for (const wake of waiters) wake();
  };
  const logger = { ...silentLogger, info };
  const backend = new ProcessBackend({ env: { ...process.env, LEVEL: 'low' }, clock: systemClock, logger });
  const sink = new RecordingSink();
  onTestFinished(() => backend.destroy());
  await backend.open(sink);
  const printed = async (line: string) => {
    while (!lines.includes(line)) await new Promise<void>((resolve) => waiters.add(resolve));
  };
  return { backend, sink, lines, printed };
}

function node(script: string, fields: Partial<ProcessWorkload> = {}): ProcessWorkload {
  const command = [process.execPath, '-e', script];
  return { kind: 'process', name: 'hello', command, cwd: undefined, env: {}, ...fields };
}

function wakeOptions() {
  return { signal: AbortSignal.timeout(5_000) };
}

function isAlive(pid: string | undefined): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

test('readOutput() tells the last lines of the last run, also those that come with its end', async () => {
  const { backend, sink } = await setUp();
  const script =
    'for (let i = 1; i <= 30; i++) console.log("line " + i); console.error("no \\x1b[31mway"); process.exit(3)';
  const request = { of: 'workload', lines: 3, signal: new AbortController().signal } as const;
  backend.watch(node(script));
  expect(await backend.readOutput(node(script), request)).toEqual([]);
  await backend.wake(node(script), wakeOptions());
  await sink.until(() => sink.last(KEY)?.state === 'stopped');
  const lines = await backend.readOutput(node(script), request);
  // Without what is for a terminal alone.
  expect(lines.toSorted()).toEqual(['line 29', 'line 30', 'no way']);
  expect(await backend.readOutput(node(script), { ...request, of: 'check' })).toEqual([]);
});

test('wake() starts the command and tells its id and addresses', async () => {
  const { backend, sink } = await setUp();
  expect(backend.watch(node(LIVE)).state).toBe('stopped');
  await backend.wake(node(LIVE), wakeOptions());
  expect(sink.last(KEY)).toEqual({
    state: 'running',
    id: expect.stringMatching(/^\d+$/),
    hosts: ['127.0.0.1', '::1'],
    health: 'none',
  });
  expect(isAlive(sink.last(KEY)?.id)).toBe(true);
  expect(sink.reachability).toEqual([{ reachable: true, reason: undefined }]);
});

test('wake() starts one process, however often it is called', async () => {
  const { backend, sink } = await setUp();
  backend.watch(node(LIVE));
  await Promise.all([backend.wake(node(LIVE), wakeOptions()), backend.wake(node(LIVE), wakeOptions())]);
  await backend.wake(node(LIVE), wakeOptions());
  expect(sink.states(KEY)).toEqual(['running']);
});

test('what the process prints is logged line by line, with its environment and folder in force', async () => {
  const { backend, printed } = await setUp();
  const script =
    'console.log(process.env.LEVEL, process.env.MORE); console.error(process.cwd()); process.stdout.write("end")';
  await backend.wake(node(script, { cwd: '/tmp', env: { MORE: 'yes' } }), wakeOptions());
  await Promise.all([printed('hello | low yes'), printed('hello | /tmp'), printed('hello | end')]);
});

test.each([
  // Whoever needs it to be completed goes by the exit code.
  ['exit code 0', 'itself', 0, 'process.exit(0)'],
  ['exit code 3', 'itself', 3, 'process.exit(3)'],
  ['signal SIGABRT', 'itself', undefined, 'process.abort()'],
  ['killed by SIGKILL', 'others', undefined, 'process.kill(process.pid, "SIGKILL")'],
  ['signal SIGTERM', 'others', undefined, 'process.kill(process.pid, "SIGTERM")'],
])(
  'an exit is told with %s, as the doing of %s, with code %s',
  async (detail, stoppedBy, exitCode, script) => {
    const { backend, sink } = await setUp();
    backend.watch(node(script));
    await backend.wake(node(script), wakeOptions());
    await sink.until(() => sink.last(KEY)?.state === 'stopped');
    expect(sink.last(KEY)).toMatchObject({ detail, stoppedBy });
    expect(sink.last(KEY)?.exitCode).toBe(exitCode);
  },
);

/** The state of a process as the system tells it: `R`, `S`, `T` … */
const stateOf = (pid: string | undefined) =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .charAt(0);

test.skipIf(process.platform !== 'linux')(
  'pause() halts the process with all that it has started, and wake() lets it go on',
  async () => {
    const { backend, sink, printed, lines } = await setUp();
    const child = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(LIVE)}], { stdio: 'inherit' })`;
    const script = `const { pid } = ${child}; console.log('child ' + pid); ${LIVE}`;
    backend.watch(node(script));
    await backend.wake(node(script), wakeOptions());
    await printed('hello | ready');
    const own = sink.last(KEY)?.id;
    const pids = [own, lines.join('\n').match(/child (\d+)/)?.[1]];
    await backend.pause(node(script));
    expect(sink.last(KEY)).toMatchObject({ state: 'paused', id: own, hosts: [] });
    await expect.poll(() => pids.map(stateOf)).toEqual(['T', 'T']);
    // Paused again, it stays as it is.
    await backend.pause(node(script));
    await backend.wake(node(script), wakeOptions());
    expect(sink.last(KEY)).toMatchObject({ state: 'running', id: own, hosts: ['127.0.0.1', '::1'] });
    await expect.poll(() => pids.map(stateOf)).not.toContain('T');
    expect(sink.states(KEY)).toEqual(['running', 'paused', 'running']);
  },
);

test('sleep() ends a process that is paused, politely', async () => {
  const { backend, sink, printed } = await setUp();
  const script = `process.on("SIGTERM", () => { console.log("saved"); process.exit(0); }); ${LIVE}`;
  backend.watch(node(script));
  await backend.wake(node(script), wakeOptions());
  await printed('hello | ready');
  await backend.pause(node(script));
  await backend.sleep(node(script), { graceMs: 60_000 });
  await printed('hello | saved');
  expect(sink.states(KEY)).toEqual(['running', 'paused', 'stopping', 'stopped']);
});

test('pause() of what does not run does nothing', async () => {
  const { backend, sink } = await setUp();
  backend.watch(node(LIVE));
  await backend.pause(node(LIVE));
  expect(sink.states(KEY)).toEqual([]);
});

test('runCommand() tells the exit status of a command beside the process, and kills one that takes too long', async () => {
  const { backend } = await setUp();
  const workload = node(LIVE, { cwd: '/tmp', env: { MORE: 'yes' } });
  backend.watch(workload);
  await backend.wake(workload, wakeOptions());
  const run = (command: readonly string[], signal = wakeOptions().signal) =>
    backend.runCommand(workload, { command, signal });
  expect(await run(['sh', '-c', '[ "$MORE $LEVEL $PWD" = "yes low /tmp" ]'])).toBe(0);
  expect(await run(['sh', '-c', 'exit 3'])).toBe(3);
  await expect(run(['no-such-program'])).rejects.toThrow('ENOENT');
  await expect(run(['sh', '-c', 'kill -9 $$'])).rejects.toThrow('it was ended by SIGKILL');
  const given = new AbortController();
  const endless = run(['sleep', '600'], given.signal);
  given.abort(new Error('it took too long'));
  await expect(endless).rejects.toThrow('it took too long');
});

test.each([
  ['no such program', { command: ['nod'] }, 'cannot start "nod": no such program'],
  ['an empty program', { command: [''] }, /^cannot start "": /],
  ['a folder for a program', { command: ['/tmp'] }, 'cannot start "/tmp": not allowed to run it'],
  ['no such folder', { command: ['node'], cwd: '/nowhere' }, 'cannot start "node": no such folder: /nowhere'],
])('wake() refuses %s', async (_, fields, message) => {
  const { backend, sink } = await setUp();
  backend.watch(node('', fields));
  const error = await backend.wake(node('', fields), wakeOptions()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WakeError);
  expect((error as Error).message).toMatch(message);
  expect(sink.observations).toEqual([]);
});

test('sleep() ends the process politely and resolves when it is gone', async () => {
  const { backend, sink, printed } = await setUp();
  const script = `process.on("SIGTERM", () => { console.log("bye"); process.exit(0); }); ${LIVE}`;
  backend.watch(node(script));
  await backend.wake(node(script), wakeOptions());
  await printed('hello | ready');
  const pid = sink.last(KEY)?.id;
  await backend.sleep(node(script), { graceMs: undefined });
  expect(sink.states(KEY)).toEqual(['running', 'stopping', 'stopped']);
  expect(sink.last(KEY)?.detail).toBe('exit code 0');
  expect(isAlive(pid)).toBe(false);
  await printed('hello | bye');
  await backend.sleep(node(script), { graceMs: undefined });
});

test('sleep() kills a process that ignores the polite signal, after its grace', async () => {
  const { backend, sink, printed } = await setUp();
  backend.watch(node(STUBBORN));
  await backend.wake(node(STUBBORN), wakeOptions());
  await printed('hello | ready');
  const beganMs = systemClock.monotonicMs();
  await backend.sleep(node(STUBBORN), { graceMs: 300 });
  expect(systemClock.monotonicMs() - beganMs).toBeGreaterThanOrEqual(299);
  expect(sink.last(KEY)?.detail).toBe('killed by SIGKILL');
  await printed('hello | no');
});

test('what the process started ends with it, even what ignores the polite signal', async () => {
  const { backend, lines, printed } = await setUp();
  const script = `
    const child = require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(STUBBORN)}], { stdio: "pipe" });
    child.stdout.once("data", () => { console.log("child " + child.pid); console.log("up"); });`;
  await backend.wake(node(script), wakeOptions());
  await printed('hello | up');
  const pid = lines
    .find((line) => line.startsWith('hello | child '))
    ?.split(' ')
    .at(-1);
  expect(isAlive(pid)).toBe(true);
  await backend.sleep(node(script), { graceMs: 500 });
  while (isAlive(pid)) await systemClock.sleep(5);
});

test('wake() during the stop waits for the exit and starts again', async () => {
  const { backend, sink, printed } = await setUp();
  backend.watch(node(STUBBORN));
  await backend.wake(node(STUBBORN), wakeOptions());
  await printed('hello | ready');
  const stopping = backend.sleep(node(STUBBORN), { graceMs: 200 });
  await backend.wake(node(STUBBORN), wakeOptions());
  await stopping;
  expect(sink.states(KEY)).toEqual(['running', 'stopping', 'stopped', 'running']);
});

test('wake() during the stop ends with its signal, and nothing is started', async () => {
  const { backend, sink, printed } = await setUp();
  backend.watch(node(STUBBORN));
  await backend.wake(node(STUBBORN), wakeOptions());
  await printed('hello | ready');
  const stopping = backend.sleep(node(STUBBORN), { graceMs: 200 });
  await expect(backend.wake(node(STUBBORN), { signal: AbortSignal.timeout(20) })).rejects.toThrow('timeout');
  await stopping;
  expect(sink.last(KEY)?.state).toBe('stopped');
});

test('a changed command counts from the next start on', async () => {
  const { backend, printed } = await setUp();
  backend.watch(node(LIVE));
  await backend.wake(node(LIVE), wakeOptions());
  const changed = node('console.log("changed")');
  expect(backend.watch(changed).state).toBe('running');
  await backend.sleep(changed, { graceMs: undefined });
  await backend.wake(changed, wakeOptions());
  await printed('hello | changed');
});

test('a process that is not watched any more runs on until sleep(), untold', async () => {
  const { backend, sink } = await setUp();
  backend.watch(node(LIVE));
  await backend.wake(node(LIVE), wakeOptions());
  const pid = sink.last(KEY)?.id;
  backend.unwatch(node(LIVE));
  expect(isAlive(pid)).toBe(true);
  await backend.sleep(node(LIVE), { graceMs: undefined });
  expect(isAlive(pid)).toBe(false);
  expect(sink.states(KEY)).toEqual(['running']);
  expect(backend.watch(node(LIVE)).detail).toBe('never started');
});

test('close() ends every process, and cuts a longer grace short no more than needed', async () => {
  const { backend, sink, printed, lines } = await setUp();
  const other = node(LIVE, { name: 'other' });
  for (const workload of [node(STUBBORN), other]) backend.watch(workload);
  await Promise.all([backend.wake(node(STUBBORN), wakeOptions()), backend.wake(other, wakeOptions())]);
  await Promise.all([printed('hello | ready'), printed('other | ready')]);
  const pids = [sink.last(KEY)?.id, sink.last('process/other')?.id];
  const stopping = backend.sleep(node(STUBBORN), { graceMs: 300 });
  await Promise.all([backend.close(), backend.close()]);
  await stopping;
  expect(pids.map(isAlive)).toEqual([false, false]);
  expect(lines).toContain('hello | no');
  await expect(backend.wake(other, wakeOptions())).rejects.toThrow('the proxy is closing');
});

test('destroy() kills at once, also while close() waits', async () => {
  const { backend, sink, printed } = await setUp();
  backend.watch(node(STUBBORN));
  await backend.wake(node(STUBBORN), wakeOptions());
  await printed('hello | ready');
  const beganMs = systemClock.monotonicMs();
  const closing = backend.close();
  backend.destroy();
  await closing;
  expect(systemClock.monotonicMs() - beganMs).toBeLessThan(2_000);
  expect(sink.last(KEY)?.detail).toBe('killed by SIGKILL');
});

test('close() does not wait for a process that left the group and holds the output', async () => {
  const { backend, lines, printed } = await setUp();
  const script = `
    const options = { detached: true, stdio: ["ignore", "inherit", "inherit"] };
    const child = require("child_process").spawn(process.execPath, ["-e", "setTimeout(() => {}, 20000)"], options);
    console.log(String(child.pid)); console.log("up"); ${LIVE}`;
  await backend.wake(node(script), wakeOptions());
  await printed('hello | up');
  const pid = Number(lines[0]?.split(' ').at(-1));
  onTestFinished(() => void process.kill(pid, 'SIGKILL'));
  const beganMs = systemClock.monotonicMs();
  await backend.close();
  expect(systemClock.monotonicMs() - beganMs).toBeLessThan(3_000);
});

/** What a shell starts, which ends `ms` after it is asked to and says so before. */
function shellApp(ms: number): ProcessWorkload {
  const app = `process.on("SIGTERM", () => setTimeout(() => { console.log("saved"); process.exit(); }, ${ms})); ${LIVE}`;
  const command = ['sh', '-c', `"$NODE" -e '${app}'; true`];
  return { kind: 'process', name: 'hello', command, cwd: undefined, env: { NODE: process.execPath } };
}

test.each([
  ['ends within the grace', { appMs: 1_000, graceMs: 10_000 }, { saved: true, tookMs: [900, 4_000] }],
  ['takes longer than the grace', { appMs: 10_000, graceMs: 500 }, { saved: false, tookMs: [450, 4_000] }],
] as const)('sleep() gives what a shell started the whole grace, where it %s', async (_, given, expected) => {
  const { backend, sink, printed, lines } = await setUp();
  const app = shellApp(given.appMs);
  backend.watch(app);
  await backend.wake(app, wakeOptions());
  await printed('hello | ready');
  const beganMs = systemClock.monotonicMs();
  await backend.sleep(app, { graceMs: given.graceMs });
  const tookMs = systemClock.monotonicMs() - beganMs;
  expect(sink.states(KEY)).toEqual(['running', 'stopping', 'stopped']);
  await backend.close();
  expect(lines.includes('hello | saved')).toBe(expected.saved);
  expect(tookMs).toBeGreaterThan(expected.tookMs[0]);
  expect(tookMs).toBeLessThan(expected.tookMs[1]);
});

test('measureMemory() counts all processes of the workload', async () => {
  const { backend, printed } = await setUp();
  const child = 'const held = Buffer.alloc(64 << 20, 1); console.log("held"); setInterval(() => held, 1000);';
  const script = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); ${LIVE}`;
  backend.watch(node(script));
  await backend.wake(node(script), wakeOptions());
  await printed('hello | held');
  const bytes = await backend.measureMemory(node(script));
  expect(bytes).toBeGreaterThan(64 << 20);
  expect(bytes).toBeLessThan(400 << 20);
  await backend.sleep(node(script), { graceMs: 0 });
  await expect(backend.measureMemory(node(script))).rejects.toThrow('it does not run');
});
