import { expect, test } from 'vitest';
import {
  judge,
  type ReplicasStep,
  UNCONTESTED,
  UNDO_WINDOW_MS,
} from '../../../../src/backends/kubernetes/sharing/contest.ts';

const SECOND_MS = 1_000;

function slept(atMs: number): ReplicasStep {
  return { kind: 'slept', atMs };
}

function woken(atMs: number, ...managers: readonly string[]): ReplicasStep {
  return { kind: 'changed', atMs, before: 0, after: 2, managers };
}

function scaledDown(atMs: number, ...managers: readonly string[]): ReplicasStep {
  return { kind: 'changed', atMs, before: 2, after: 0, managers };
}

/** We sleep, and somebody else undoes it a second later. */
function undone(atMs: number): readonly ReplicasStep[] {
  return [slept(atMs), scaledDown(atMs, 'lazy-proxy'), woken(atMs + SECOND_MS, 'argocd-controller')];
}

test.each<readonly [string, readonly ReplicasStep[], string | undefined]>([
  ['nothing has happened', [], undefined],
  ['one sleep was undone', undone(0), undefined],
  ['two sleeps in a row were undone', [...undone(0), ...undone(10_000)], 'argocd-controller'],
  [
    'who undid it only shares the field with us',
    [...undone(0), slept(10_000), woken(11_000, 'lazy-proxy', 'argocd-controller')],
    'argocd-controller',
  ],
  [
    'the second one held for a while',
    [...undone(0), slept(10_000), woken(10_001 + UNDO_WINDOW_MS, 'argocd-controller')],
    undefined,
  ],
  [
    'the second one was undone at the end of the window',
    [...undone(0), slept(10_000), woken(10_000 + UNDO_WINDOW_MS, 'argocd-controller')],
    'argocd-controller',
  ],
  [
    'one of us woke it in between',
    [...undone(0), slept(10_000), woken(11_000, 'lazy-proxy'), ...undone(20_000)],
    undefined,
  ],
  ['a contest was reconsidered', [...undone(0), ...undone(10_000), { kind: 'reconsidered' }], undefined],
  [
    'a contest was reconsidered, and the next sleep undone',
    [...undone(0), ...undone(10_000), { kind: 'reconsidered' }, ...undone(20_000)],
    'argocd-controller',
  ],
  ['only one sleep was undone before', [...undone(0), { kind: 'reconsidered' }], undefined],
  ['nobody says who it was', [slept(0), woken(SECOND_MS), slept(2_000), woken(3_000)], undefined],
  [
    'somebody else woke what others had put to sleep',
    [woken(0, 'kubectl'), scaledDown(1_000, 'kubectl'), woken(2_000, 'kubectl')],
    undefined,
  ],
  [
    'it was only scaled further up',
    [...undone(0), slept(10_000), { kind: 'changed', atMs: 11_000, before: 1, after: 3, managers: ['hpa'] }],
    undefined,
  ],
  [
    'we put it to sleep all the same',
    [...undone(0), ...undone(10_000), slept(20_000), scaledDown(20_000, 'lazy-proxy')],
    'argocd-controller',
  ],
  [
    'somebody else has scaled it to 0 since',
    [...undone(0), ...undone(10_000), scaledDown(20_000, 'argocd-controller')],
    undefined,
  ],
  [
    'somebody who is not named has scaled it to 0 since',
    [...undone(0), ...undone(10_000), scaledDown(20_000)],
    undefined,
  ],
  [
    'one sleep was undone since somebody else had scaled it to 0',
    [
      ...undone(0),
      ...undone(10_000),
      scaledDown(20_000, 'kubectl'),
      woken(21_000, 'kubectl'),
      ...undone(30_000),
    ],
    undefined,
  ],
])('judge tells who contests a workload when %s', (_, steps, contestedBy) => {
  expect(steps.reduce(judge, UNCONTESTED).contestedBy).toBe(contestedBy);
});

test('judge gives the very same standing back where nothing changes', () => {
  expect(judge(UNCONTESTED, woken(0, 'kubectl'))).toBe(UNCONTESTED);
});
