/**
 * Whether an attack on the API slows what is proxied. In each round the same attack goes to another proxy twice (A, A) and to the one
 * that is measured once (B): so the machine is as busy each time, and what differs is the attack alone. What two rounds of the same
 * kind differ by is the spread; no more may be lost to the attack. `LAZY_PROXY_REPORT=1` prints the figures.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { startProgram } from '../support/start-program.ts';

const ROUNDS = 15;
const MEASURE_MS = 400;
const CLIENTS = 4;
/** Services that sleep: their number makes the API's answers long. */
const SLEEPERS = 200;
/** How much more than the spread may be lost: a handful of rounds don't show all of it. The main thread serves the API as well. */
const TOLERANCE = { relayThread: 1.15, mainThread: 2 };
const ATTACK = path.join(import.meta.dirname, 'attack-api.mjs');
const ECHO = `require('node:net').createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(+process.argv[1], '127.0.0.1')`;

type Measure = (port: number) => Promise<number>;

/** Median of the time for a ping and its echo, in ms, over connections that stay. */
const measureKeptAlive: Measure = (port) =>
  measure(async (isOver, times) => {
    const client = await open(port);
    while (!isOver()) times.push(await ping(client));
    client.destroy();
  });

/** The same with a connection of its own for each. */
const measureNew: Measure = (port) =>
  measure(async (isOver, times) => {
    while (!isOver()) {
      const begunMs = performance.now();
      const client = await open(port);
      await ping(client);
      times.push(performance.now() - begunMs);
      client.destroy();
    }
  });

async function measure(work: (isOver: () => boolean, times: number[]) => Promise<void>): Promise<number> {
  const times: number[] = [];
  const endMs = performance.now() + MEASURE_MS;
  await Promise.all(Array.from({ length: CLIENTS }, () => work(() => performance.now() > endMs, times)));
  return medianOf(times);
}

async function open(port: number): Promise<Socket> {
  const client = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(client, 'connect');
  return client;
}

async function ping(client: Socket): Promise<number> {
  const begunMs = performance.now();
  client.write('ping');
  await once(client, 'data');
  return performance.now() - begunMs;
}

function medianOf(values: readonly number[]): number {
  return quantileOf(values, 0.5);
}

function quantileOf(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;
}

interface Started {
  /** Of its API. */
  readonly status: number;
  /** Of a service whose clients the relay thread accepts, and of one whose clients the main thread does. */
  readonly warm: number;
  readonly bounded: number;
}

async function startProxy(): Promise<Started> {
  const [status = 0, warm = 0, bounded = 0, first = 0, second = 0, ...rest] = await freePorts(5 + SLEEPERS);
  const echo = (target: number) => [process.execPath, '-e', ECHO, `${target}`];
  const sleepers = rest.map((port, index) => [
    `s${index}`,
    { command: ['sleep', '600'], ports: [`127.0.0.1:${port}:1`] },
  ]);
  const file = {
    ...{ status: { listen: `127.0.0.1:${status}` }, docker: { labels: false } },
    services: {
      warm: { command: echo(first), ports: [`127.0.0.1:${warm}:${first}`] },
      bounded: { command: echo(second), ports: [`127.0.0.1:${bounded}:${second}`], max_connections: 1_000 },
      ...Object.fromEntries(sleepers),
    },
  };
  const cwd = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-load-'));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  await writeFile(path.join(cwd, 'lazy-proxy.yaml'), JSON.stringify(file));
  await startProgram({ cwd, env: { ...process.env, LAZY_PROXY_TOKEN: 'a-token-that-nobody-shows' } });
  for (const port of [warm, bounded]) await measureNew(port);
  return { status, warm, bounded };
}

/** Lets the API at a port be attacked from now on; 0 = none. */
type Attack = (status: number) => Promise<void>;

function startAttacker(): Attack {
  const attacker = fork(ATTACK);
  onTestFinished(() => {
    attacker.disconnect();
  });
  return async (status) => {
    attacker.send(status);
    await once(attacker, 'message');
  };
}

describe('an attack on the API', () => {
  test.each([
    ['requests over kept-alive connections', measureKeptAlive, 'warm', TOLERANCE.relayThread],
    ['new connections', measureNew, 'warm', TOLERANCE.relayThread],
    ['new connections that the main thread accepts', measureNew, 'bounded', TOLERANCE.mainThread],
  ] as const)(
    'does not slow %s beyond the spread',
    async (what, run, service, tolerance) => {
      const measured = await startProxy();
      const other = await startProxy();
      const attack = startAttacker();
      const under = async (attacked: number) => {
        await attack(attacked);
        return await run(measured[service]);
      };
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) {
        // Each round has the other one's before and behind, so that what changes with time changes both sides.
        const before = await under(other.status);
        const attacked = await under(measured.status);
        const after = await under(other.status);
        rounds.push({ before, attacked, after, quiet: await under(0) });
      }
      const spreads = rounds.map(({ before, after }) => Math.max(before / after, after / before));
      const spread = quantileOf(spreads, 0.8);
      const ratio = medianOf(
        rounds.map(({ before, attacked, after }) => attacked / Math.sqrt(before * after)),
      );
      const ofQuiet = medianOf(rounds.map(({ attacked, quiet }) => attacked / quiet));
      if (process.env['LAZY_PROXY_REPORT'] !== undefined)
        console.log(
          `${what}: ${ratio.toFixed(2)} × as long as while another proxy is attacked (two such differ by ${spread.toFixed(2)} ×), ` +
            `${ofQuiet.toFixed(2)} × as long as in quiet; median ${medianOf(rounds.map(({ attacked }) => attacked)).toFixed(2)} ms`,
        );
      expect(ratio).toBeLessThan(spread * tolerance);
    },
    180_000,
  );
});
