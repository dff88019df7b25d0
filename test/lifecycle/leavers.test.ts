/** Clients that come and go must leave nothing behind, whatever the workload they waited for is doing. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import { aService } from '../support/builders.ts';
import { collectGarbage } from '../support/collect-garbage.ts';
import { MISSING, RUNNING, STARTING, STOPPED, STOPPING, UNKNOWN } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { Bench } from './bench.ts';

interface Request {
  readonly port: number;
  readonly client: string;
  readonly signal: AbortSignal;
}

const LEAVERS = 200;
/** The last client of a wait may still stand in a variable of the machine. */
const TOLERATED = 2;

/** What a client waits for, and how the workload comes to be there. */
const WAITS: readonly (readonly [string, Observation])[] = [
  ['a container that does not exist', MISSING],
  ['an engine that is away', UNKNOWN],
  ['a wake call that goes on', STOPPED],
  ['an engine that starts the workload', STARTING],
  ['a workload that is stopping', STOPPING],
  ['a port that refuses', RUNNING],
  ['a health check that has not spoken', { ...RUNNING, health: 'starting' }],
];

describe('clients that leave while they wait', () => {
  let bench: Bench;
  let port: number;
  beforeEach(async () => {
    bench = new Bench();
    port = await freePort();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });

  /** In a function of its own, so that nothing of the clients stays in the test's variables. */
  async function comeAndGo(kind: 'tcp' | 'udp'): Promise<readonly WeakRef<object>[]> {
    const kept: WeakRef<object>[] = [];
    for (let index = 0; index < LEAVERS; index++) {
      const client = new AbortController();
      kept.push(new WeakRef(client.signal));
      const request = { port, client: `client ${index}`, signal: client.signal };
      const ended = wait(kind, request);
      await settle();
      client.abort();
      await ended;
    }
    return kept;
  }

  /** Resolves when the client was refused or has left. */
  function wait(kind: 'tcp' | 'udp', request: Request): Promise<void> {
    const served = kind === 'tcp' ? bench.lifecycle.connect('db', request) : openFlow(request);
    return served.then(ignore, ignore);
  }

  async function openFlow(request: Request) {
    const lease = bench.lifecycle.takeFlowLease('db', { ...request, sleepIfSilent: false });
    const never = (_: unknown, signal: AbortSignal) =>
      new Promise<{ close(): void }>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    try {
      await lease.open({ signal: request.signal, readiness: 'reply', prove: never, follow: never });
    } finally {
      lease.release(bench.clock.monotonicMs());
    }
  }

  describe.each(['tcp', 'udp'] as const)('over %s', (kind) => {
    test.each(WAITS)('are forgotten where they waited for %s', async (_, observation) => {
      bench.add(aService(), observation);
      const stays = new AbortController();
      const ended = wait(kind, { port, client: 'stays', signal: stays.signal });
      await settle();
      const clients = await comeAndGo(kind);
      await collectGarbage();
      expect(clients.filter((client) => client.deref() !== undefined).length).toBeLessThanOrEqual(TOLERATED);
      expect(bench.controller('db').leases).toBe(1);
      expect(bench.controller('db').waitingRoom.size).toBe(1);
      stays.abort();
      await ended;
    });
  });
});

function ignore(): void {}
