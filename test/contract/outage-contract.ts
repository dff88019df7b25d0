import { expect, onTestFinished, test } from 'vitest';
import { bringUp, type ContractStage, expectAnswer, type OpenStage, openBackend } from './contract-stage.ts';
import { handOf } from './outside-contract.ts';

/** "I could not ask" is never read as an answer. */
export function describeOutageContract(openStage: OpenStage): void {
  test('keeps what it knows and says that it cannot ask', async () => {
    const stage = await openStage();
    await bringUp(stage);
    await beginOutage(stage);
    expect(stage.sink.reachability.at(-1)?.reason).toEqual(expect.stringMatching(/\S/));
    expect(stage.sink.state(stage.key)).toBe('running');
    expect(stage.backend.watch(stage.workload).state).toBe('running');
  });

  test('tells what has changed meanwhile when the engine is back', async () => {
    const stage = await openStage();
    await bringUp(stage);
    const back = await beginOutage(stage);
    await handOf(stage).stop();
    await back();
    await stage.sink.untilState(stage.key, 'stopped');
  });

  test('tells that a workload is missing when it was removed meanwhile', async () => {
    const stage = await openStage();
    const back = await beginOutage(stage);
    await handOf(stage).remove();
    await back();
    await stage.sink.untilState(stage.key, 'missing');
  });

  test('wakes a workload as soon as the engine is back', async () => {
    const stage = await openStage();
    const back = await beginOutage(stage);
    const woken = stage.wake();
    await back();
    await woken;
    await expectAnswer(stage);
    expect(await stage.app.starts()).toBe(1);
  });

  test('gives up a wake that is aborted', async () => {
    const stage = await openStage();
    await beginOutage(stage);
    const abort = new AbortController();
    const woken = stage.backend.wake(stage.workload, { signal: abort.signal });
    abort.abort();
    await expect(woken).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    expect(await stage.app.starts()).toBe(0);
  });

  test('fails at once to put a workload to sleep', async () => {
    const stage = await openStage();
    await bringUp(stage);
    await beginOutage(stage);
    await expect(stage.sleep()).rejects.toThrow(/\S/);
    expect(stage.sink.state(stage.key)).toBe('running');
  });

  test('opens all the same, and looks when the engine is there', async () => {
    const { bed, workload, key } = await openStage();
    await bed.outage?.begin();
    onTestFinished(() => bed.outage?.end());
    const { backend, sink } = await openBackend({ ...bed, maySleep: () => true });
    expect(sink.isReachable()).toBe(false);
    sink.watch(backend, workload);
    expect(sink.state(key)).toBe('unknown');
    await bed.outage?.end();
    await sink.untilState(key, 'stopped');
    await sink.until(() => sink.isReachable(), 'that the engine is back');
  });
}

/** Takes the engine away and waits until that was told; returns what brings it back. */
async function beginOutage({ bed, sink }: ContractStage): Promise<() => Promise<void>> {
  const { outage } = bed;
  if (outage === undefined) throw new Error('this bed has no engine');
  await outage.begin();
  onTestFinished(() => outage.end());
  await sink.until(() => !sink.isReachable(), 'that the engine is away');
  return async () => {
    await outage.end();
    await sink.until(() => sink.isReachable(), 'that the engine is back');
  };
}
