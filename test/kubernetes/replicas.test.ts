/** Two replicas of the proxy on one workload: both relay and wake, one of them puts it to sleep, for both. */
import { setTimeout as pass } from 'node:timers/promises';
import { describe, expect, type TestContext, test } from 'vitest';
import { connectTcp } from '../engine/support/tcp.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type KubeBed, openKubeBed, type TestWorkload } from './support/kube-bed.ts';
import { electionHolder, followLeases, isReplicaRecord } from './support/leases.ts';
import { converse, type Replica, startReplica, untilSleeper, untilStandby } from './support/replicas.ts';

const LEASE_MS = 3_000;
const IDLE_MS = 1_000;
/** Others are told that the last client of a replica has left so much later, should another come at once. */
const RELEASE_MS = 1_000;
/** For everything else, on a machine that has much to do. */
const BOUND_MS = 1_500;
const ANSWER = 'pod .';

interface Stage {
  readonly bed: KubeBed;
  readonly app: TestWorkload;
  readonly sleeper: Replica;
  readonly standby: Replica;
  /** Resolves with the time since the epoch at which the workload was put to sleep after `from`. */
  untilAsleep(from: number): Promise<number>;
}

/** A workload that sleeps, and two replicas that serve it. */
async function openStage(
  { onTestFinished }: TestContext,
  options: { readonly leaseMs?: number } = {},
): Promise<Stage> {
  const { leaseMs = LEASE_MS } = options;
  const bed = await openKubeBed({ onTestFinished });
  const targetPort = await freePort();
  await bed.playPod({ kind: 'tcp', address: '0.0.0.0', port: targetPort, name: 'pod' });
  const app = await bed.createWorkload({ name: 'app', ports: [{ port: 80, targetPort }] });
  const [firstPort = 0, secondPort = 0] = await freePorts(2);
  const shared = {
    fields: { idle_timeout: `${IDLE_MS}ms` },
    kubernetes: { lease_duration: `${leaseMs}ms` },
  };
  const sleeper = await startReplica(bed, { name: 'first', port: firstPort, ...shared });
  await untilSleeper(sleeper);
  const standby = await startReplica(bed, { name: 'second', port: secondPort, ...shared });
  await untilStandby(standby);
  const untilAsleep = async (from: number) => {
    const isSleep = ({ at, object }: { readonly at: number; readonly object: { readonly spec: unknown } }) =>
      at >= from && (object.spec as { readonly replicas: number }).replicas === 0;
    const { deployments } = bed;
    const { at } = await deployments.until(() => deployments.changes.find(isSleep), { what: 'its sleep' });
    return at;
  };
  return { bed, app, sleeper, standby, untilAsleep };
}

/** A client at a replica that has had an answer. */
async function connectClient({ port }: Replica) {
  const client = await connectTcp(port);
  await converse(client, { durationMs: 1, answer: ANSWER });
  return client;
}

describe.concurrent('of two replicas', () => {
  test('neither puts a workload to sleep that a client of the other uses', async (context) => {
    const { app, sleeper, standby, untilAsleep } = await openStage(context);
    let client = await connectClient(standby);
    for (const replica of [sleeper, standby, sleeper, standby, sleeper]) {
      await converse(client, { durationMs: IDLE_MS + RELEASE_MS + 500, answer: ANSWER });
      const next = await connectTcp(replica.port);
      client.destroy();
      client = next;
    }
    client.destroy();
    const leftAt = Date.now();
    const asleepAt = await untilAsleep(leftAt);
    expect(asleepAt - leftAt).toBeGreaterThanOrEqual(IDLE_MS - 50);
    expect(asleepAt - leftAt).toBeLessThanOrEqual(IDLE_MS + BOUND_MS);
    expect(await app.countStarts()).toBe(1);
  });

  test('one puts the workload to sleep that the other has woken', async (context) => {
    const { sleeper, standby, untilAsleep } = await openStage(context);
    const client = await connectClient(standby);
    client.destroy();
    const leftAt = Date.now();
    const asleepAt = await untilAsleep(leftAt);
    expect(asleepAt - leftAt).toBeGreaterThanOrEqual(IDLE_MS);
    expect(asleepAt - leftAt).toBeLessThanOrEqual(IDLE_MS + RELEASE_MS + BOUND_MS);
    expect(await standby.triedScalings()).toHaveLength(1);
    expect(await sleeper.scalings()).toHaveLength(1);
  });

  test('each keeps the workload awake with short connections alone', async (context) => {
    const { app, sleeper, standby } = await openStage(context);
    for (const replica of [standby, sleeper]) {
      for (let left = 12; left > 0; left--) {
        (await connectClient(replica)).destroy();
        await pass(IDLE_MS / 2);
      }
    }
    expect(await app.countStarts()).toBe(1);
    expect((await app.read()).spec.replicas).toBe(1);
  });

  test('both serve clients that come at the same time, with one start', async (context) => {
    const { app, sleeper, standby, untilAsleep } = await openStage(context);
    for (let round = 1; round <= 3; round++) {
      const clients = await Promise.all([sleeper, standby, sleeper, standby].map(connectClient));
      for (const client of clients) client.destroy();
      await untilAsleep(Date.now());
      expect(await app.countStarts()).toBe(round);
    }
    const counts = await Promise.all([sleeper.scalings(), standby.scalings()]);
    expect(counts.flat()).toHaveLength(6);
  });

  test('one takes over within the duration of the Lease when the other is killed', async (context) => {
    const { bed, sleeper, standby, untilAsleep } = await openStage(context);
    const leases = followLeases(bed);
    const first = await leases.until(electionHolder);
    await connectClient(sleeper);
    sleeper.proxy.signal('SIGKILL');
    const killedAt = Date.now();
    await untilSleeper(standby);
    const isTaken = ({ object }: { readonly object: Parameters<typeof isReplicaRecord>[0] }) =>
      !isReplicaRecord(object) && object.spec.holderIdentity !== first;
    const taken = await leases.until(() => leases.changes.find(isTaken));
    expect(taken.at - killedAt).toBeLessThanOrEqual(LEASE_MS + BOUND_MS);
    // The dead one's client no longer counts.
    const asleepAt = await untilAsleep(killedAt);
    expect(asleepAt - killedAt).toBeLessThanOrEqual(LEASE_MS + IDLE_MS + BOUND_MS);
    expect(await standby.scalings()).toHaveLength(1);
  });

  test('one waits for the clients of the other no longer than its Lease when it is killed', async (context) => {
    const { sleeper, standby, untilAsleep } = await openStage(context);
    const client = await connectClient(standby);
    await converse(client, { durationMs: LEASE_MS + IDLE_MS, answer: ANSWER });
    expect(await sleeper.triedScalings()).toEqual([]);
    standby.proxy.signal('SIGKILL');
    const killedAt = Date.now();
    const asleepAt = await untilAsleep(killedAt);
    expect(asleepAt - killedAt).toBeGreaterThanOrEqual(IDLE_MS);
    expect(asleepAt - killedAt).toBeLessThanOrEqual(LEASE_MS + IDLE_MS + BOUND_MS);
  });

  test('one is the sleeper at once when the other ends in order', async (context) => {
    const { bed, app, sleeper, standby, untilAsleep } = await openStage(context, { leaseMs: 60_000 });
    const client = await connectClient(standby);
    const leases = followLeases(bed);
    await leases.until((all) => [...all.values()].filter(isReplicaRecord).length === 2);
    sleeper.proxy.signal('SIGTERM');
    expect(await sleeper.proxy.exited).toBe(0);
    const endedAt = Date.now();
    const { time } = await untilSleeper(standby);
    expect(Date.parse(time) - endedAt).toBeLessThanOrEqual(BOUND_MS);
    await leases.until((all) => [...all.values()].filter(isReplicaRecord).length === 1);
    await converse(client, { durationMs: IDLE_MS + RELEASE_MS, answer: ANSWER });
    expect(await app.countStarts()).toBe(1);
    client.destroy();
    await untilAsleep(Date.now());
    expect(await sleeper.triedScalings()).toEqual([]);
  });

  test('one that was frozen, and replaced meanwhile, leaves it to the other', async (context) => {
    const { bed, app, sleeper, standby, untilAsleep } = await openStage(context);
    (await connectClient(sleeper)).destroy();
    // Its idle time is over as soon as it goes on.
    sleeper.proxy.signal('SIGSTOP');
    bed.atEnd(() => sleeper.proxy.signal('SIGCONT'));
    const client = await connectClient(standby);
    await untilSleeper(standby);
    sleeper.proxy.signal('SIGCONT');
    await sleeper.proxy.waitForLog(({ msg }) => msg.includes('no longer puts workloads to sleep'));
    await converse(client, { durationMs: IDLE_MS + RELEASE_MS, answer: ANSWER });
    expect(await app.countStarts()).toBe(1);
    client.destroy();
    await untilAsleep(Date.now());
    expect(await sleeper.scalings()).toHaveLength(1);
    expect(await standby.scalings()).toHaveLength(1);
  });
});
