import { expect, test } from 'vitest';
import type { OutsideHand } from './contract-bed.ts';
import { bringUp, type ContractStage, expectAnswer, type OpenStage, openBackend } from './contract-stage.ts';

/** What others do to the workloads is seen. */
export function describeOutsideContract(openStage: OpenStage): void {
  test('adopts a workload that somebody else has started', async () => {
    const stage = await openStage();
    await handOf(stage).start();
    await expectAnswer(stage);
    // The engine may still tell of what another test has started.
    expect(stage.sink.startedKeys.filter((key) => key === stage.key)).toEqual([stage.key]);
  });

  test('tells that a workload sleeps when somebody else has stopped it', async () => {
    const stage = await openStage();
    await bringUp(stage);
    await handOf(stage).stop();
    await stage.sink.untilState(stage.key, 'stopped');
  });

  test('puts to sleep what somebody else has started', async () => {
    const stage = await openStage();
    await handOf(stage).start();
    await expectAnswer(stage);
    await stage.sleep();
    await stage.sink.untilState(stage.key, 'stopped');
  });

  test.each(['asleep', 'awake'] as const)(
    'tells that a workload is missing when it was removed %s',
    async (how) => {
      const stage = await openStage();
      if (how === 'awake') {
        await bringUp(stage);
      }
      await handOf(stage).remove();
      await stage.sink.untilState(stage.key, 'missing');
      expect(stage.sink.last(stage.key)?.hosts).toEqual([]);
    },
  );

  test('wakes a workload that was removed and created anew', async () => {
    const stage = await openStage();
    await bringUp(stage);
    const hand = handOf(stage);
    await hand.remove();
    await stage.sink.untilState(stage.key, 'missing');
    await hand.recreate();
    await stage.sink.untilState(stage.key, 'stopped');
    await stage.wake();
    await expectAnswer(stage);
  });

  test('knows at once what runs when it is opened anew, and leaves it running when it is closed', async () => {
    const stage = await openStage();
    await bringUp(stage);
    await stage.backend.close();
    const { backend, sink } = await openBackend(stage.bed);
    sink.watch(backend, stage.workload);
    await expectAnswer({ ...stage, sink });
    expect(await stage.app.starts()).toBe(1);
  });
}

export function handOf({ app }: ContractStage): OutsideHand {
  if (app.outside === undefined) throw new Error('this bed has nobody else');
  return app.outside;
}
