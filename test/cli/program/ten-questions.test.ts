/** The questions that people have when the proxy surprises them, each with the command that answers it. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { runProgram } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const TOKEN = 'open-sesame';
/** Answers each connection after so many ms, and keeps it open. */
const SERVER = `setTimeout(() => require('node:net').createServer((s) => s.on('error', () => {}).write('hello')).listen(+process.argv[1], '127.0.0.1'), +process.argv[2])`;
const SLOW_MS = 700;

/** A proxy with a service that works, one that takes its time, one that fails, and one with a schedule. */
async function start() {
  const [status = 0, hello = 0, slow = 0, broken = 0, ...targets] = await freePorts(7);
  const server = (target = 0, ms = 0) => [process.execPath, '-e', SERVER, `${target}`, `${ms}`];
  const text = [
    `status: { listen: "127.0.0.1:${status}" }`,
    'docker: { labels: false }',
    'services:',
    '  hello:',
    `    command: ${JSON.stringify(server(targets[0]))}`,
    `    ports: ["127.0.0.1:${hello}:${targets[0]}"]`,
    '    idle_timeout: 45m',
    '    env: { PASSWORD: hunter2 }',
    '  slow:',
    `    command: ${JSON.stringify(server(targets[1], SLOW_MS))}`,
    `    ports: ["127.0.0.1:${slow}:${targets[1]}"]`,
    '    idle_timeout: 1s',
    '  broken:',
    '    command: [sh, -c, "echo connecting; echo no database >&2; exit 3"]',
    `    ports: ["127.0.0.1:${broken}:${targets[2]}"]`,
    '  night:',
    '    command: [sleep, "99"]',
    '    cron_start: "0 3 * * *"',
    '    cron_stop: "0 4 * * *"',
    '',
  ].join('\n');
  const cwd = await createFolder({ 'lazy-proxy.yaml': text });
  const variables = { LAZY_PROXY_TOKEN: TOKEN, START_TIMEOUT_SECS: '25' };
  const program = await startProgram({ cwd, env: { PATH: process.env['PATH'], ...variables } });
  const ask = async (...args: string[]) => {
    const { stdout, stderr, status: exit } = await runProgram(args, { cwd });
    expect({ args, stderr, exit }).toEqual({ args, stderr: '', exit: 0 });
    return stdout;
  };
  /** A client that is let through; it stays. */
  const visit = async (port: number) => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, 'data');
    return socket;
  };
  const fail = async () => {
    const socket = connect(broken, '127.0.0.1').on('error', () => {});
    await once(socket.resume(), 'close');
  };
  const save = (edited: string) => writeFile(path.join(cwd, 'lazy-proxy.yaml'), edited);
  return { ...{ cwd, text, program, ask, visit, fail, save }, ports: { hello, slow } };
}

test('what is awake now? status', async () => {
  const { ask, visit, ports } = await start();
  await visit(ports.hello);
  const text = await ask('status');
  expect(text).toMatch(/^lazy-proxy .*; 4 services: 3 asleep, 1 awake|4 services: 1 awake, 3 asleep/);
  expect(text).toMatch(/^hello +awake /m);
  for (const name of ['slow', 'broken', 'night']) expect(text).toMatch(new RegExp(`^${name} +asleep `, 'm'));
});

test('who keeps it awake? explain, and status in short', async () => {
  const { ask, visit, ports } = await start();
  const { localPort } = await visit(ports.hello);
  await ask('hold', 'hello', '--for', '2h', '--token', TOKEN);
  expect(await ask('status', 'hello')).toMatch(
    /awake .* 1 connection, from 127\.0\.0\.1:\d+, .*; held by hand /,
  );
  const text = await ask('explain', 'hello');
  const [, kept = ''] = /\nKept awake by\n(.*?)\n\n/s.exec(text) ?? [];
  expect(kept).toMatch(
    new RegExp(`connection of 127\\.0\\.0\\.1:${localPort} to 127\\.0\\.0\\.1:${ports.hello}/tcp`),
  );
  expect(kept).toMatch(/held by hand until .*\d\d:\d\d, for /);
});

test('when will it sleep? status and explain', async () => {
  const { ask, visit, ports } = await start();
  const socket = await visit(ports.hello);
  // Somebody is there: not at all, as yet.
  expect(await ask('status', 'hello')).not.toContain('sleeps in');
  socket.destroy();
  await expect.poll(() => ask('status', 'hello')).toMatch(/sleeps in 4[45] min/);
  expect(await ask('explain', 'hello')).toMatch(/^ {2}next: sleeps in 4[45] min/m);
  await ask('wake', 'night', '--token', TOKEN);
  await expect.poll(() => ask('status', 'night')).toMatch(/awake .* sleeps at \S* ?04:00/);
});

test('why did it not wake, and what did it say? explain', async () => {
  const { ask, fail } = await start();
  await fail();
  expect(await ask('status', 'broken')).toMatch(/^broken +failed .* exit code 3 /m);
  const text = await ask('explain', 'broken', '--token', TOKEN);
  expect(text).toMatch(/^broken: failed, for /);
  expect(text).toMatch(
    /for 127\.0\.0\.1:\d+: failed after .*: exit code 3\n {4}\| connecting\n {4}\| no database\n/,
  );
});

test('how long do clients wait? explain, with what took the time', async () => {
  const { ask, visit, ports } = await start();
  const beganMs = performance.now();
  await visit(ports.slow);
  const waitedMs = performance.now() - beganMs;
  const text = await ask('explain', 'slow');
  const [, value = '', unit = ''] = /: ready after ([\d.]+) (ms|s) \(.*port /.exec(text) ?? [];
  const toldMs = Number(value) * (unit === 's' ? 1_000 : 1);
  expect(toldMs).toBeGreaterThanOrEqual(SLOW_MS);
  expect(toldMs).toBeLessThanOrEqual(waitedMs);
  expect(text).toMatch(/^ {2}a wake takes: .* as a rule$/m);
});

test('what did I save? status and explain', async () => {
  const { ask, visit, ports } = await start();
  const socket = await visit(ports.slow);
  socket.destroy();
  await expect.poll(() => ask('status', 'slow')).toMatch(/^slow +asleep .*idle/m);
  const share = Number(/asleep (\d+) % of the time/.exec(await ask('status'))?.[1]);
  expect(share).toBeGreaterThan(0);
  expect(share).toBeLessThan(100);
  await expect.poll(() => ask('explain', 'slow')).toMatch(/since the proxy follows it: asleep \d+ s/);
  expect(await ask('explain', 'slow')).toMatch(/^ {2}stops: 1 when idle$/m);
});

test('is my last edit in force, and if not, which line? status and diff', async () => {
  const { ask, save, text, program, cwd } = await start();
  expect(await ask('diff', '--token', TOKEN)).toBe('lazy-proxy.yaml: nothing would change\n');
  await save(text.replace('idle_timeout: 45m', 'idle_timout: 45m'));
  await program.logged('is refused');
  const refused = await ask('status');
  expect(refused).toMatch(
    /^lazy-proxy\.yaml is refused since \d\d:\d\d; the last good configuration stays in force:$/m,
  );
  expect(refused).toMatch(/^lazy-proxy\.yaml:7:5: error: .*did you mean "idle_timeout"/m);
  // The line itself may hold a secret.
  expect(await ask('status', '--token', TOKEN)).toMatch(/^ +idle_timout: 45m\n +\^/m);
  const from = program.log().length;
  await save(text.replace('idle_timeout: 45m', 'idle_timeout: 46m'));
  await program.logged('service hello changed', from);
  expect(await ask('status')).not.toContain('refused');
  await save(`relay: stream\n${text}`);
  await expect.poll(() => ask('status')).toContain('relay: the change takes effect at the next start');
  expect((await runProgram(['diff'], { cwd })).status).toBe(1);
});

test('where does this value come from? explain', async () => {
  const { ask } = await start();
  const text = await ask('explain', 'hello');
  expect(text).toMatch(/^ {2}idle_timeout +45m +lazy-proxy\.yaml:7:19$/m);
  expect(text).toMatch(/^ {2}start_timeout +25s +\$START_TIMEOUT_SECS$/m);
  expect(text).toMatch(/^ {2}max_pending +1024 +default$/m);
});

test('are secrets shown? explain says how', async () => {
  const { ask } = await start();
  const token = ['--token', TOKEN];
  const hidden = await ask('explain', 'hello', ...token);
  expect(hidden).not.toContain('hunter2');
  expect(hidden).toMatch(/^ {2}env +\{"PASSWORD":"\*\*\*"\} +/m);
  expect(hidden).toMatch(/^ {2}\*\*\* is a secret: --show-secrets shows it$/m);
  const asked = await ask('explain', 'hello', '--show-secrets', ...token);
  expect(asked).toContain('hunter2');
  expect(asked).not.toContain('is a secret');
  // Nobody is told them without the token.
  const stranger = await ask('explain', 'hello', '--show-secrets');
  expect(stranger).toMatch(/^ {2}\*\*\* is a secret: the token shows it/m);
});

test('what did it say, for a program? status --json', async () => {
  const { ask, fail } = await start();
  await fail();
  const output = async (...flags: string[]) =>
    JSON.parse(await ask('status', '--json', ...flags)).find(({ name = '' }) => name === 'broken').last_wake
      .output;
  expect(await output()).toEqual(['***']);
  expect(await output('--token', TOKEN)).toEqual(['connecting', 'no database']);
});

test('does my token do anything? status and explain say where the proxy has none', async () => {
  const [status = 0] = await freePorts(1);
  const text = [
    `status: { listen: "127.0.0.1:${status}" }`,
    'docker: { labels: false }',
    'services: { one: { command: [sleep, "99"], env: { PASSWORD: hunter2 } } }',
    '',
  ].join('\n');
  const cwd = await createFolder({ 'lazy-proxy.yaml': text });
  await startProgram({ cwd });
  for (const args of [['status'], ['explain', 'one']]) {
    const { stderr, stdout } = await runProgram([...args, '--token', 'abc'], { cwd });
    expect(stderr).toMatch(/^lazy-proxy: the proxy has no token, so --token changes nothing/);
    expect(stdout).toContain('one');
    expect((await runProgram(args, { cwd })).stderr).toBe('');
  }
  const { stdout } = await runProgram(['explain', 'one', '--show-secrets'], { cwd });
  expect(stdout).toMatch(/\*\*\* is a secret: the proxy has no token that would show it/);
});

test('what happened last night? events --past, and explain', async () => {
  const { ask, visit, fail, ports } = await start();
  const socket = await visit(ports.slow);
  await fail();
  socket.destroy();
  await expect.poll(() => ask('status', 'slow')).toMatch(/^slow +asleep .*idle/m);
  const told = await ask('events', '--past');
  const at = String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
  expect(told).toMatch(new RegExp(`${at} slow was woken for 127\\.0\\.0\\.1:\\d+, after .*port`, 'm'));
  expect(told).toMatch(
    new RegExp(`${at} broken did not wake for 127\\.0\\.0\\.1:\\d+, after .*: exit code 3`, 'm'),
  );
  expect(told).toMatch(new RegExp(`${at} slow has gone to sleep: idle`, 'm'));
  expect(told.indexOf('slow was woken')).toBeLessThan(told.indexOf('slow has gone to sleep'));
  const one = await ask('events', '--past', 'broken');
  expect(one).not.toContain('slow');
  expect(one).toContain('broken did not wake');
  const documents = (await ask('events', '--past', '--json')).trimEnd().split('\n');
  expect(documents.map((line) => JSON.parse(line).event)).toEqual(expect.arrayContaining(['woken', 'sleep']));
  const text = await ask('explain', 'slow');
  expect(text).toMatch(/\nLast wakes\n {2}.* for 127\.0\.0\.1:\d+: ready after /);
  expect(text).toMatch(/\nStates\n {2}.*asleep: nobody used it\n {2}.*stopping\n {2}.*awake\n/);
});

test('can I wake, sleep or hold it here? wake, sleep, hold and release say so', async () => {
  const { ask, cwd } = await start();
  for (const [command, token] of [['wake'], ['sleep'], ['hold'], ['release'], ['wake', 'wrong']]) {
    const flags = token === undefined ? [] : ['--token', token];
    const { status, stdout, stderr } = await runProgram([command ?? '', 'hello', ...flags], { cwd });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^lazy-proxy: .*--token or LAZY_PROXY_TOKEN\n$/);
  }
  expect(await ask('status', 'hello')).toMatch(/^hello +asleep /m);
  const token = ['--token', TOKEN];
  expect(await ask('wake', 'hello', ...token)).toMatch(/^hello is (waking|awake): /);
  // Until it is awake, each of them says by whom it is woken.
  await expect.poll(() => ask('status', 'hello')).toMatch(/^hello +awake /m);
  expect(await ask('hold', 'hello', '--for', '10m', ...token)).toContain('held by hand');
  expect(await ask('release', 'hello', ...token)).toMatch(/^hello is awake: nobody has used it yet/);
  expect(await ask('release', 'hello', ...token)).toMatch(/^hello was not held; it is awake: /);
  expect(await ask('sleep', 'hello', ...token)).toMatch(/^hello is /);
  await expect.poll(() => ask('status', 'hello')).toMatch(/asleep .*by hand/);
});
