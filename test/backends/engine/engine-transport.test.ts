import type { Socket } from 'node:net';
import util from 'node:util';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createEngineClient, type EngineClient } from '../../../src/backends/engine/engine-client.ts';
import { EngineRefusal, EngineUnreachable } from '../../../src/backends/engine/errors.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { HOSTILE_ANSWERS, type HostileAnswer } from '../../support/hostile-answers.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';
import { Sockets } from '../../support/sockets.ts';

const CALLS = 10;
/** Longer than the deadline of any of these calls. */
const LONG_MS = 120_000;
const ID = 'c'.padEnd(64, '0');

type Ask = (client: EngineClient, signal: AbortSignal) => Promise<unknown>;

async function readToEnd(log: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of log);
}

const ASKS: Readonly<Record<string, Ask>> = {
  inspect: (client, signal) => client.inspect('db', signal),
  'image inspect': (client, signal) => client.inspectImage('bb', signal),
  start: (client, signal) => client.start(ID, signal),
  stop: (client, signal) => client.stop(ID, { graceMs: 1_000, ownGraceMs: 0, signal }),
  events: (client, signal) =>
    client.events({ filter: { types: ['container'], actions: ['start'] }, sinceMs: 0, signal }),
  log: (client, signal) => client.readLog(ID, { lines: 1, sinceMs: undefined, signal, read: readToEnd }),
  'list of tasks': (client, signal) =>
    client.call({ call: 'list tasks', method: 'GET', path: '/tasks', signal }),
};

const CASES = HOSTILE_ANSWERS.flatMap((hostile) =>
  Object.entries(ASKS).map(([what, ask]) => ({ what, ask, hostile })),
);

/** A server that answers each request as `hostile` does, and a client of it. */
async function setUp({ answer }: Pick<HostileAnswer, 'answer'>) {
  const clock = new FakeClock();
  const sockets = new Sockets();
  let asked = 0;
  const server = await sockets.listen((socket: Socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        asked++;
        answer(socket);
      });
  });
  const address = { kind: 'tcp', host: '127.0.0.1', port: server.port, tls: undefined } as const;
  const client = createEngineClient(address, clock);
  onTestFinished(async () => {
    client.close();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });
  const requested = async () => {
    while (asked === 0) await settle();
  };
  return { clock, client, sockets: server.sockets, requested };
}

test.each(CASES)(
  'the call "$what" is done by its deadline when the engine answers with $hostile.name',
  async ({ ask, hostile }) => {
    const { clock, client, sockets, requested } = await setUp(hostile);
    const outcome = ask(client, new AbortController().signal).then(
      () => undefined,
      (error: unknown) => error,
    );
    await requested();
    // What ends by itself has ended before.
    if (hostile.hangs === true || hostile.status === 500) await clock.advance(LONG_MS);
    const error = await outcome;
    expect(error instanceof EngineUnreachable || error instanceof EngineRefusal).toBe(true);
    while (sockets.some((socket) => !socket.readableEnded && !socket.destroyed)) await settle();
  },
);

test.each(CASES)(
  'the call "$what" ends with its signal when the engine answers with $hostile.name',
  async ({ ask, hostile }) => {
    const { client, requested } = await setUp(hostile);
    const caller = new AbortController();
    const outcome = ask(client, caller.signal).then(
      () => undefined,
      (error: unknown) => error,
    );
    await requested();
    const reason = new Error('nobody waits any more');
    caller.abort(reason);
    const error = await outcome;
    expect(error === reason || error instanceof EngineUnreachable || error instanceof EngineRefusal).toBe(
      true,
    );
  },
);

test('a request is not made dearer by the others in flight: nothing is spelled out', async () => {
  const engine = await ScriptedEngine.start();
  const answer = engine.hang(/_ping/);
  const client = createEngineClient({ kind: 'socket', path: engine.socketPath }, systemClock);
  const spelled = vi.spyOn(util, 'inspect');
  const { signal } = new AbortController();
  const pings = Array.from({ length: CALLS }, () => client.ping(signal));
  await vi.waitFor(() => expect(engine.count(/_ping/)).toBe(CALLS));
  const spellings = spelled.mock.calls.length;
  spelled.mockRestore();
  answer();
  await Promise.all(pings);
  client.close();
  await engine.close();
  expect(spellings).toBe(0);
});
