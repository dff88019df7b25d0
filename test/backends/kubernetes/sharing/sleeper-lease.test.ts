import { expect, test } from 'vitest';
import type { LeaseRecord } from '../../../../src/backends/kubernetes/sharing/lease-record.ts';
import { SeenLeases } from '../../../../src/backends/kubernetes/sharing/seen-leases.ts';
import { decideElection } from '../../../../src/backends/kubernetes/sharing/sleeper-lease.ts';
import { leaseRecord } from '../lease-builder.ts';
import { DURATION_MS, NAMESPACE, setUpTeam, until } from '../sharing-fixture.ts';

const DB = 'kubernetes/deployment/shop/db';
const ELECTION = /^PATCH .*\/leases\/lazy-proxy\?/;

test('the first replica becomes the sleeper, the second does not', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  expect([a.isSleeper, b.isSleeper]).toEqual([true, false]);
  await team.pass(2 * DURATION_MS);
  expect([a.isSleeper, b.isSleeper]).toEqual([true, false]);
  expect(team.election).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0, leaseDurationSeconds: 15 });
  expect(a.errors('warn')).toEqual([]);
});

test('of replicas that start at the same time one becomes the sleeper', async () => {
  const team = await setUpTeam();
  const replicas = ['a', 'b', 'c'].map((identity) => team.add(identity));
  await Promise.all(replicas.map(({ sharing }) => sharing.start()));
  await team.settle();
  expect(replicas.filter(({ isSleeper }) => isSleeper).length).toBe(1);
});

test('a Lease that was given back is taken at once', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  await a.sharing.close();
  await until(() => b.isSleeper === true);
  expect(team.election).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  expect(a.isSleeper).toBe(true);
});

test('a Lease that somebody has deleted is taken at once', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.remove('leases', `${NAMESPACE}/lazy-proxy`);
  await until(() => team.election?.holderIdentity === 'a');
  expect(a.isSleeper).toBe(true);
});

test.each([0, -3_600_000, 3_600_000])(
  'a sleeper that died is followed when its Lease has run out, and not before, with its clock off by %i ms',
  async (skewMs) => {
    const team = await setUpTeam();
    const a = team.add('a');
    a.clock.jump(skewMs);
    await a.sharing.start();
    const b = await team.join('b');
    await team.pass(7_000);
    // The last renewal came 5 s after the start.
    a.die();
    await team.pass(DURATION_MS - 2_250);
    expect(b.isSleeper).toBe(false);
    await team.pass(500);
    expect(b.isSleeper).toBe(true);
    expect(team.election).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  },
);

test('a sleeper whose renewals get no answer steps down before anybody may follow it', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  const release = team.api.scripts.hang(ELECTION);
  await team.passBlindly(9_750);
  expect([a.isSleeper, b.isSleeper]).toEqual([true, false]);
  await team.passBlindly(500);
  expect([a.isSleeper, b.isSleeper]).toEqual([false, false]);
  expect(a.errors('warn')).toEqual([
    'this replica of the proxy no longer puts workloads to sleep: its Lease was not renewed in time: ' +
      'no answer from the API server within 2.5 s',
  ]);
  expect(await a.sharing.refuseSleep(DB)).toMatch(/no replica of the proxy is the one/);
  release();
});

test('a sleeper whose renewals are refused steps down, and another follows it', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  const restore = team.api.scripts.refuse(ELECTION, { status: 500, message: 'etcd is slow' });
  await team.pass(10_250);
  expect([a.isSleeper, b.isSleeper]).toEqual([false, false]);
  restore();
  await team.pass(5_250);
  expect([a.isSleeper, b.isSleeper].filter(Boolean).length).toBe(1);
  expect(a.errors('error')).toEqual([]);
});

test('a replica that finds its own name in the Lease goes on with it', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  a.die();
  const again = await team.join('a');
  expect(again.isSleeper).toBe(true);
  expect(team.election?.leaseTransitions).toBe(0);
});

test('a Lease that others write as well is kept', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  for (let round = 0; round < 3; round++) {
    team.api.scripts.before(ELECTION, () => {
      team.api.change('leases', `${NAMESPACE}/lazy-proxy`, ({ metadata }) => {
        metadata.annotations = { touched: String(round) };
      });
    });
    await team.pass(5_000);
  }
  expect(a.isSleeper).toBe(true);
  expect(a.errors('warn')).toEqual([]);
  expect(team.api.count(/^GET .*\/leases\/lazy-proxy$/)).toBe(3);
});

test('a Lease that others have written is kept although no event tells of it', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.watches.tellEvents('silent');
  team.api.change('leases', `${NAMESPACE}/lazy-proxy`, ({ metadata }) => {
    metadata.annotations = { touched: 'yes' };
  });
  await a.clock.advance(5_000);
  await a.client.idle();
  expect(team.api.count(ELECTION)).toBe(2);
  expect(a.isSleeper).toBe(true);
});

test('a deletion that is told late does not take back what was written since', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.watches.tellEvents('silent');
  team.api.remove('leases', `${NAMESPACE}/lazy-proxy`);
  await a.clock.advance(5_000);
  await a.client.idle();
  expect(team.election?.holderIdentity).toBe('a');
  const created = team.api.count(/^POST /);
  team.api.watches.tellEvents('faithful');
  team.api.watches.end();
  await team.api.requested(/watch=true/, 2);
  await team.settle();
  expect(team.api.count(/^POST /)).toBe(created);
});

test('a renewal that fails once is tried again in time', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.scripts.refuse(ELECTION, { status: 500, message: 'etcd is slow', times: 1 });
  await team.pass(12_000);
  expect(a.isSleeper).toBe(true);
  expect(a.errors('warn')).toEqual([]);
});

test('a sleeper whose timers come late is none any more', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const monotonicMs = a.clock.monotonicMs.bind(a.clock);
  a.clock.monotonicMs = () => monotonicMs() + 10_001;
  expect(await a.sharing.refuseSleep(DB)).toMatch(/^no replica/);
});

test('a Lease that somebody has given to another replica is left to it', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.change('leases', `${NAMESPACE}/lazy-proxy`, ({ spec }) => {
    spec.holderIdentity = 'z';
  });
  await until(() => a.isSleeper === false);
  expect(a.errors('warn')).toEqual([
    'this replica of the proxy no longer puts workloads to sleep: z has taken its Lease over',
  ]);
});

test.each<readonly [string, LeaseRecord | undefined, number, object]>([
  ['there is no Lease', undefined, 0, { kind: 'create' }],
  ['it is ours', leaseRecord({ holder: 'me' }), 1_000, { kind: 'renew' }],
  ['it is ours and has run out', leaseRecord({ holder: 'me' }), 99_000, { kind: 'renew' }],
  ['it was given back', leaseRecord({ holder: undefined }), 0, { kind: 'take' }],
  ['another has it', leaseRecord(), 14_999, { kind: 'wait', holder: 'a', untilMs: 15_000 }],
  ['another has had it', leaseRecord(), 15_000, { kind: 'take' }],
  ['another has it for longer', leaseRecord({ durationMs: 60_000 }), 15_000, { kind: 'wait' }],
])('decideElection tells what to do when %s', (_, record, nowMs, step) => {
  const leases = new SeenLeases();
  if (record !== undefined) leases.see(record, 0);
  const seen = leases.get('lazy-proxy');
  expect(decideElection(seen, { identity: 'me', leases, nowMs })).toMatchObject(step);
});

test('decideElection waits without end while nothing can be seen', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  leases.blind(1_000);
  const step = decideElection(leases.get('lazy-proxy'), { identity: 'me', leases, nowMs: 99_000 });
  expect(step).toEqual({ kind: 'wait', holder: 'a', untilMs: undefined });
});
