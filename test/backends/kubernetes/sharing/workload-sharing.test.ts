import { expect, test } from 'vitest';
import { DURATION_MS, NAMESPACE, setUpTeam, until } from '../sharing-fixture.ts';

const DB = 'kubernetes/deployment/shop/db';
const WEB = 'kubernetes/deployment/shop/web';

test('refuseSleep sees a use that no event has told of yet', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.watches.tellEvents('silent');
  team.putRecord('b', [DB]);
  expect(a.held).toEqual([]);
  expect(await a.sharing.refuseSleep(DB)).toMatch(/used by clients of b/);
  expect(await a.sharing.refuseSleep(WEB)).toBeUndefined();
});

test('refuseSleep sees another sleeper that no event has told of yet', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.watches.tellEvents('silent');
  team.api.change('leases', `${NAMESPACE}/lazy-proxy`, ({ spec }) => {
    spec.holderIdentity = 'z';
  });
  expect(await a.sharing.refuseSleep(DB)).toMatch(/^z, another replica/);
});

test('refuseSleep fails where the Leases cannot be read', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.api.scripts.forbid('list leases');
  await expect(a.sharing.refuseSleep(DB)).rejects.toThrow(/cannot list resource "leases"/);
});

test('a replica that stands by refuses to sleep, and names the sleeper', async () => {
  const team = await setUpTeam();
  await team.join('a');
  const b = await team.join('b');
  expect(await b.sharing.refuseSleep(DB)).toMatch(/^a, another replica/);
});

test('workloads that something else keeps awake are told with those of the replicas', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  team.putRecord('b', [DB]);
  await until(() => a.held.length === 1);
  a.sharing.setContested(new Set([WEB]));
  expect(a.held).toEqual([DB, WEB]);
  const { told } = a;
  a.sharing.setContested(new Set([WEB]));
  expect(a.told).toBe(told);
});

test.each(['create', 'patch', 'list', 'watch'])(
  'a replica that may not %s Leases says so once, and is not the sleeper',
  async (verb) => {
    const team = await setUpTeam();
    const allow = team.api.scripts.forbid(`${verb} leases`);
    if (verb === 'patch') await (await team.join('z')).sharing.close();
    const a = team.add('a');
    await a.sharing.start();
    await a.clock.advance(5_000);
    await a.client.idle();
    expect(a.isSleeper).toBe(false);
    const about = a.errors('error').filter((message) => message.includes(`cannot ${verb} resource "leases"`));
    expect(about.length).toBe(1);
    expect(about[0]).toMatch(/in the namespace "proxy".*this replica puts no workload to sleep$/);
    allow();
    for (let second = 0; second < 10 && !a.isSleeper; second++) {
      await a.clock.advance(1_000);
      await a.client.idle();
    }
    await until(() => a.isSleeper === true);
  },
);

test('close() gives back the Lease and the record, and tells nothing more', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const { told } = a;
  await a.sharing.close();
  expect(team.election?.holderIdentity).toBeUndefined();
  expect(team.inUse('a')).toBeUndefined();
  expect(a.told).toBe(told);
  expect(a.clock.pending).toBe(0);
});

test('close() ends within the time of an answer where the API server gives none', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const release = team.api.scripts.hang(/./);
  const closing = a.sharing.close();
  await team.api.requested(/^DELETE /);
  await a.clock.advance(DURATION_MS / 6);
  await closing;
  release();
  expect(a.clock.pending).toBe(0);
});

test('close() before start() calls nothing', async () => {
  const team = await setUpTeam();
  await team.add('a').sharing.close();
  expect(team.api.requests).toEqual([]);
});

test('an API server that goes away and comes back finds everything as it was', async () => {
  const team = await setUpTeam();
  const a = await team.join('a');
  const b = await team.join('b');
  b.sharing.setInUse(DB, { inUse: true });
  await team.pass(250);
  await team.api.goAway();
  for (let second = 0; second < 40; second++) {
    for (const { clock, client } of [a, b]) {
      await clock.advance(1_000);
      await client.idle();
    }
  }
  expect([a.isSleeper, b.isSleeper]).toEqual([false, false]);
  expect(a.held).toEqual([DB]);
  await team.api.comeBack();
  for (let second = 0; second < 8; second++) {
    await a.clock.advance(1_000);
    await a.client.idle();
  }
  await until(() => a.isSleeper === true);
  // The other one has not come back yet: it gets its time.
  expect(a.held).toEqual([DB]);
  expect(await a.sharing.refuseSleep(DB)).toMatch(/used by clients of b/);
}, 20_000);

test('a replica that starts without an API server joins when it is there', async () => {
  const team = await setUpTeam();
  await team.api.goAway();
  const a = await team.join('a');
  expect(a.isSleeper).toBe(false);
  await team.api.comeBack();
  for (let second = 0; second < 8 && !a.isSleeper; second++) {
    await a.clock.advance(1_000);
    await a.client.idle();
  }
  await until(() => a.isSleeper === true);
  expect(a.errors('error')).toEqual([]);
});
