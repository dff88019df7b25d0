import { expect, test } from 'vitest';
import { DURATION_MS, setUpTeam, until } from '../sharing-fixture.ts';

const DB = 'kubernetes/deployment/shop/db';
const WEB = 'kubernetes/deployment/shop/web';
const RECORD = /^PATCH .*\/lazy-proxy-a\?/;

test('workloads in use reach the other replicas, and vanish when they are no longer used', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  a.sharing.setInUse(DB, { inUse: true });
  b.sharing.setInUse(WEB, { inUse: true });
  await team.pass(250);
  expect([a.held, b.held]).toEqual([[WEB], [DB]]);
  a.sharing.setInUse(DB, { inUse: false });
  await team.pass(500);
  expect(b.held).toEqual([DB]);
  await team.pass(750);
  expect([a.held, b.held]).toEqual([[WEB], []]);
});

test('workloads that are used before the start is over are told', async () => {
  const team = await setUpTeam();
  const a = team.add('a');
  a.sharing.setInUse(DB, { inUse: true });
  await a.sharing.start();
  expect(team.inUse('a')).toEqual([DB]);
});

test('a workload that comes into use while the record is being written is told afterwards', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const release = team.api.scripts.hang(RECORD, 1);
  a.sharing.setInUse(DB, { inUse: true });
  await a.clock.advance(200);
  await team.api.requested(RECORD);
  a.sharing.setInUse(WEB, { inUse: true });
  release();
  await team.pass(500);
  expect(team.inUse('a')).toEqual([DB, WEB]);
});

test('a workload that is used again and again at short intervals costs one write', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  for (let round = 0; round < 12; round++) {
    a.sharing.setInUse(DB, { inUse: true });
    await team.pass(250);
    a.sharing.setInUse(DB, { inUse: false });
  }
  expect(team.api.count(RECORD)).toBe(1);
  await team.pass(1_000);
  expect(team.inUse('a')).toEqual([]);
});

test('a write tells what was released a moment ago as still in use', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  a.sharing.setInUse(DB, { inUse: true });
  await team.pass(250);
  a.sharing.setInUse(DB, { inUse: false });
  a.sharing.setInUse(WEB, { inUse: true });
  await team.pass(250);
  expect(team.inUse('a')).toEqual([DB, WEB]);
});

test('a record that could not be written is written a little later, with all that has come since', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.scripts.refuse(RECORD, { status: 500, message: 'etcd is slow', times: 1 });
  await team.pass(5_000);
  a.sharing.setInUse(DB, { inUse: true });
  await team.pass(250);
  expect(team.api.count(RECORD)).toBe(1);
  await team.pass(750);
  expect(team.api.count(RECORD)).toBe(2);
  expect(team.inUse('a')).toEqual([DB]);
});

test('a use is void when its replica has died, without anything that tells of it', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  // Not when the own record is written, which would show it as well.
  await team.pass(2_000);
  team.putRecord('b', [DB]);
  await until(() => a.held.length === 1);
  for (let second = 0; second < 15; second++) {
    expect(a.held).toEqual([DB]);
    await a.clock.advance(1_000);
    await a.client.idle();
  }
  expect(a.held).toEqual([]);
});

test('nobody is taken for dead while the own record gets no answer', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.putRecord('b', [DB]);
  await until(() => a.held.length === 1);
  const release = team.api.scripts.hang(RECORD);
  await team.passBlindly(2 * DURATION_MS);
  expect(a.held).toEqual([DB]);
  release();
  await team.pass(DURATION_MS);
  expect(a.held).toEqual([DB]);
  await team.pass(DURATION_MS / 3);
  expect(a.held).toEqual([]);
});

test('a replica that cannot make itself known does not try to be the sleeper', async () => {
  const team = await setUpTeam();
  team.api.scripts.refuse(/^POST /, { status: 403, message: 'no', times: 1 });
  const a = await team.join('a');
  expect(a.isSleeper).toBe(false);
  expect(team.api.count(/^POST /)).toBe(1);
});

test('what a replica that died used counts until its record has run out', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  b.sharing.setInUse(DB, { inUse: true });
  await team.pass(250);
  b.die();
  await team.pass(DURATION_MS - 500);
  expect(a.held).toEqual([DB]);
  expect(await a.sharing.refuseSleep(DB)).toBe('it is used by clients of b, another replica of the proxy');
  await team.pass(1_000);
  expect(a.held).toEqual([]);
  expect(await a.sharing.refuseSleep(DB)).toBeUndefined();
});

test('the record of a replica that died long ago is taken away, once it is', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.putRecord('dead', [DB]);
  await team.pass(9 * DURATION_MS);
  expect(team.inUse('dead')).toEqual([DB]);
  await team.pass(DURATION_MS + 5_000);
  expect(team.inUse('dead')).toBeUndefined();
  const removal = team.api.requests.find(({ line }) => line.startsWith('DELETE'));
  expect(removal?.body).toMatchObject({ preconditions: { resourceVersion: expect.any(String) } });
  expect(team.inUse('a')).toEqual([]);
  expect(a.errors('error')).toEqual([]);
}, 20_000);
