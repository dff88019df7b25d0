import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { PROGRAM } from '../../support/run-program.ts';
import { Sockets } from '../../support/sockets.ts';
import { createFolder } from './folder.ts';

const REFUSED = 2_500;
const AT_ONCE = 20;
const MAX_PENDING = 2;
/** Another service's clients meanwhile are served in this time; one of 20 may have to wait for the machine. */
const REQUESTS = 100;
const MAX_ANSWER_MS = 100;
const MAX_LATE_MS = 1_000;

interface Running {
  readonly port: number;
  readonly sleeping: number;
  readonly left: number;
  readonly child: ReturnType<typeof spawn>;
}

/** It notes its process id beside the file: a killed proxy leaves its services behind. */
const SLEEPER = ['/bin/sh', '-c', 'echo $$ >> pids; exec sleep 1000'];

/** A service that answers, one whose two clients wait for ever, and one whose clients may wait; nobody reads the log, nor its pipe when `how` is that. */
async function start(how: 'socket' | 'pipe' | 'terminal'): Promise<Running> {
  const sockets = new Sockets();
  onTestFinished(() => sockets.close());
  const server = await sockets.listen((client) => void client.end('hello'));
  const [port = 0, sleeping = 0, left = 0, deaf = 0, statusPort = 0] = await freePorts(5);
  const file = {
    ...{ status: { listen: `127.0.0.1:${statusPort}` }, docker: { labels: false } },
    services: {
      awake: { command: SLEEPER, ports: [`127.0.0.1:${port}:${server.port}`] },
      asleep: {
        command: SLEEPER,
        ports: [`127.0.0.1:${sleeping}:${deaf}`],
        max_pending: MAX_PENDING,
        start_timeout: '10m',
      },
      left: { command: SLEEPER, ports: [`127.0.0.1:${left}:${deaf}`], start_timeout: '10m' },
    },
  };
  const cwd = await createFolder({ 'lazy-proxy.yaml': JSON.stringify(file) });
  const env = { PATH: process.env['PATH'], LOG_LEVEL: 'debug', LOG_FORMAT: 'json' };
  const command =
    how === 'socket'
      ? [process.execPath, PROGRAM]
      : how === 'terminal'
        ? // It reads the terminal for as long as somebody reads what it writes itself.
          ['script', '-qfec', `echo $$ > pid; exec ${process.execPath} ${PROGRAM}`, '/dev/null']
        : // Opened by a shell, which never reads it: a pipe of the kernel's, as of `docker logs`.
          ['/bin/sh', '-c', `{ "$0" "$1"; echo $? >&2; } | sleep 1000`, process.execPath, PROGRAM];
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  onTestFinished(async () => {
    // In the terminal it has a session of its own.
    const inTerminal = how === 'terminal' ? Number(await readFile(path.join(cwd, 'pid'), 'utf8')) : undefined;
    const kill = (pid: number | undefined) => {
      try {
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    for (const pid of [-(child.pid as number), inTerminal]) kill(pid);
    const sleepers = (await readFile(path.join(cwd, 'pids'), 'utf8')).trim().split('\n').map(Number);
    for (const pid of sleepers) kill(pid);
  });
  const isUp = async () =>
    (await fetch(`http://127.0.0.1:${statusPort}/ready`).catch(() => undefined))?.ok === true;
  await expect.poll(isUp, { timeout: 10_000 }).toBe(true);
  return { port, sleeping, left, child };
}

/** How long it takes until the service has answered. */
async function ask(port: number): Promise<number> {
  const beganMs = performance.now();
  const client = connect(port, '127.0.0.1');
  await once(client, 'data');
  client.destroy();
  return performance.now() - beganMs;
}

async function beRefused(port: number): Promise<void> {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  client.resume();
  await new Promise((resolve) => client.once('close', resolve));
}

/** Comes, and leaves at once: a line at the level debug. */
async function leave(port: number): Promise<void> {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  client.once('connect', () => client.destroy());
  await new Promise((resolve) => client.once('close', resolve));
}

function hold(port: number): Socket {
  const client = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void client.destroy());
  return client;
}

const hasTerminal = spawnSync('script', ['--version']).status === 0;

test.each(['socket', 'pipe', ...(hasTerminal ? (['terminal'] as const) : [])] as const)(
  'thousands of refused clients, and a log that nobody reads (%s), hold up no other service and no end',
  { timeout: 60_000 },
  async (how) => {
    const { port, sleeping, left, child } = await start(how);
    await ask(port);
    const waiting = Array.from({ length: MAX_PENDING }, () => hold(sleeping));
    await Promise.all(waiting.map((client) => once(client, 'connect')));
    let refused = 0;
    const crowd = Array.from({ length: AT_ONCE }, async () => {
      while (refused < REFUSED) {
        refused++;
        await beRefused(sleeping);
        await leave(left);
      }
    });
    const answersMs: number[] = [];
    while (answersMs.length < REQUESTS) answersMs.push(await ask(port));
    await Promise.all(crowd);
    const late = answersMs.filter((ms) => ms > MAX_ANSWER_MS);
    expect(late.length).toBeLessThanOrEqual(answersMs.length / 20);
    expect(Math.max(...answersMs)).toBeLessThan(MAX_LATE_MS);

    // What has been kept is read now: how much was lost is told.
    if (how === 'pipe') return;
    let log = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      log += chunk;
    });
    while (!/\d+ lines of the log were lost/.test(log))
      await once(child.stdout as NodeJS.ReadableStream, 'data');
    const refusals = log.split('\n').filter((line) => line.includes('clients are waiting already'));
    expect(refusals.length).toBeLessThan(20);
    expect(log).toMatch(
      /asleep: connection of .* closed: 2 clients are waiting already \(max_pending\), and \d+ more before it/,
    );
  },
);

test('a log that nobody reads does not keep the proxy from ending', { timeout: 60_000 }, async () => {
  const { left, child } = await start('socket');
  const crowd = Array.from({ length: AT_ONCE }, async () => {
    for (let count = 0; count < REFUSED / AT_ONCE; count++) await leave(left);
  });
  await Promise.all(crowd);
  child.kill('SIGTERM');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
