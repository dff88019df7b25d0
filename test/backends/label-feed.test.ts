import { expect, test } from 'vitest';
import type { LabelledWorkload } from '../../src/backends/backend.ts';
import { LabelFeed } from '../../src/backends/label-feed.ts';
import { FakeClock } from '../support/fake-clock.ts';

const OPTIONS = { labels: true, labelPrefixes: ['lazy-proxy'] } as const;

function openFeed() {
  const clock = new FakeClock();
  const said: string[] = [];
  let workloads: readonly LabelledWorkload[] = [];
  const feed: LabelFeed = new LabelFeed({
    ...{ clock, labelOptions: OPTIONS, select: () => workloads, tell: () => said.push('labels') },
    // As the proxy does: whatever it hears of, it gives its settings again.
    settled: () => {
      said.push('settled');
      feed.setLabelOptions(OPTIONS);
    },
  });
  const set = (next: readonly LabelledWorkload[]) => {
    workloads = next;
  };
  return { feed, clock, said, set };
}

test('LabelFeed tells of a burst once, also where no label has changed, whatever settings it is given meanwhile', async () => {
  const { feed, clock, said, set } = openFeed();
  feed.flush();
  expect(said).toEqual(['labels', 'settled']);
  feed.touch();
  feed.touch();
  await clock.advance(1_000);
  expect(said).toEqual(['labels', 'settled', 'settled']);
  set([{ ref: { kind: 'docker', name: 'a' }, labels: {} }]);
  feed.setLabelOptions(OPTIONS);
  expect(said).toEqual(['labels', 'settled', 'settled', 'labels']);
  feed.close();
  expect(clock.pending).toBe(0);
});
