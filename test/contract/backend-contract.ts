/** What every backend keeps to, whatever its engine. Runs unchanged on each of them. */
import { describe, expect, test } from 'vitest';
import { WakeError } from '../../src/backends/backend.ts';
import { workloadKey, workloadRefKey } from '../../src/model/workload.ts';
import type { BedFeatures, ContractBed } from './contract-bed.ts';
import { bringUp, createStage, expectAnswer, type OpenStage } from './contract-stage.ts';
import { describeOutageContract } from './outage-contract.ts';
import { describeOutsideContract } from './outside-contract.ts';

/**
 * The cases for one backend.
 * @param open makes a bed for one test, which goes when that has finished.
 */
export function describeBackendContract(
  name: string,
  { open, features }: { readonly open: () => Promise<ContractBed>; readonly features: BedFeatures },
): void {
  const openStage = () => createStage(open);
  describe(`the ${name} backend`, () => {
    describeCoreContract(openStage);
    if (features.labels) describe('with labels', () => describeLabelContract(openStage));
    if (features.outside) describe('beside others', () => describeOutsideContract(openStage));
    if (features.outage) describe('whose engine is away', () => describeOutageContract(openStage));
  });
}

function describeCoreContract(openStage: OpenStage): void {
  test('tells that a workload sleeps when it is watched', async () => {
    const { sink, key } = await openStage();
    expect(sink.last(key)).toMatchObject({ state: 'stopped', hosts: [] });
  });

  test('tells where a workload answers when it was woken', async () => {
    const stage = await openStage();
    await bringUp(stage);
    expect(await stage.app.starts()).toBe(1);
  });

  test('starts a workload once when it is woken 20 times at once', async () => {
    const { wake, sleep, sink, key, app } = await openStage();
    await Promise.all(Array.from({ length: 20 }, wake));
    await expectAnswer({ sink, key, app });
    await sleep();
    await sink.untilState(key, 'stopped');
    expect(await app.starts()).toBe(1);
  });

  test('does nothing when it wakes what runs', async () => {
    const stage = await openStage();
    await bringUp(stage);
    await stage.wake();
    expect(stage.sink.state(stage.key)).toBe('running');
    expect(await stage.app.starts()).toBe(1);
  });

  test('has told that a workload no longer runs when it was put to sleep', async () => {
    const stage = await openStage();
    const { sleep, sink, key } = stage;
    await bringUp(stage);
    await sleep();
    expect(['stopping', 'stopped']).toContain(sink.state(key));
    await sink.untilState(key, 'stopped');
    expect(sink.last(key)).toMatchObject({ hosts: [] });
  });

  test('does nothing when it puts to sleep what sleeps', async () => {
    const { sleep, sink, key, app } = await openStage();
    await sleep();
    expect(sink.state(key)).toBe('stopped');
    expect(await app.starts()).toBe(0);
  });

  test('starts a workload anew when it is woken while it falls asleep', async () => {
    const stage = await openStage();
    const { wake, sleep, sink, key, app } = stage;
    await bringUp(stage);
    const asleep = sleep();
    await Promise.race([asleep, sink.until(() => sink.state(key) !== 'running', `${key} stopping`)]);
    await Promise.all([wake(), asleep]);
    await expectAnswer(stage);
    expect(await app.starts()).toBe(2);
  });

  test('refuses to wake what does not exist', async () => {
    const { backend, bed } = await openStage();
    const missing = bed.nameMissing();
    backend.watch(missing);
    const woken = backend.wake(missing, { signal: AbortSignal.timeout(10_000) });
    await expect(woken).rejects.toThrow(WakeError);
  });

  test('starts nothing when a wake was aborted before it began', async () => {
    const { backend, workload, app } = await openStage();
    const signal = AbortSignal.abort();
    await expect(backend.wake(workload, { signal })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    );
    expect(await app.starts()).toBe(0);
  });

  test('can wake a workload when another wake of it was aborted on its way', async () => {
    const { backend, workload, wake, sink, key, app } = await openStage();
    const abort = new AbortController();
    const aborted = backend.wake(workload, { signal: abort.signal }).catch((error) => error);
    abort.abort();
    await wake();
    expect([undefined, 'AbortError']).toContain((await aborted)?.name);
    await expectAnswer({ sink, key, app });
  });

  test('tells nothing more of a workload that is no longer watched', async () => {
    const { backend, workload, wake, sink } = await openStage();
    backend.unwatch(workload);
    const { length } = sink.observations;
    await wake();
    expect(sink.observations.slice(length)).toEqual([]);
  });

  test('closes as often as it is told to', async () => {
    const { backend } = await openStage();
    await backend.close();
    await backend.close();
  });
}

function describeLabelContract(openStage: OpenStage): void {
  test('tells of a workload that opts in', async () => {
    const { sink, workload, key } = await openStage();
    const found = () => sink.labels.find(({ ref }) => workloadRefKey(ref) === key);
    await sink.until(() => found() !== undefined, 'the labels');
    expect(Object.entries(found()?.labels ?? {})).toContainEqual([
      expect.stringMatching(/\.enabled$/),
      'true',
    ]);
    expect(found()?.ref.kind).toBe(workload.kind);
  });

  test('tells of a workload that opts in when it is created later', async () => {
    const { bed, sink } = await openStage();
    const { workload } = await bed.createWorkload();
    const key = workloadKey(workload);
    await sink.until(() => sink.labels.some(({ ref }) => workloadRefKey(ref) === key), 'the labels');
  });
}
