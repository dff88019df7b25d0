import { expect, test } from 'vitest';
import {
  findOptIns,
  type LabelPrefixes,
  listOwnLabels,
  optInLabelBeside,
  recallReplicas,
  rememberReplicas,
  withoutReplicas,
} from '../../src/model/label-names.ts';

const prefixes: LabelPrefixes = ['new', 'old'];

test('listOwnLabels() tells the prefix of each label, and leaves out others', () => {
  const labels = { 'old.ports': '1', 'new.ports': '2', 'newer.ports': '3', new: '4', 'x.new.ports': '5' };
  expect(listOwnLabels(labels, prefixes)).toEqual([
    { label: 'old.ports', suffix: 'ports', text: '1', rank: 1 },
    { label: 'new.ports', suffix: 'ports', text: '2', rank: 0 },
  ]);
});

test('findOptIns() finds what opts in, and what was meant to, under each prefix', () => {
  const labels = { 'new.enabled': 'x', 'OLD.enbled': 'x', 'old.ports': 'x', 'other.enabled': 'x' };
  expect(findOptIns(labels, prefixes)).toEqual([
    { label: 'new.enabled', meant: 'new.enabled' },
    { label: 'OLD.enbled', meant: 'old.enabled' },
  ]);
});

test('optInLabelBeside() keeps the prefix, with its dots', () => {
  expect(optInLabelBeside('com.example.dependants')).toBe('com.example.enabled');
});

test.each([
  [{}, 1],
  [{ 'old.replicas': '3' }, 3],
  [{ 'new.replicas': '2' }, 2],
  [{ 'old.replicas': '3', 'new.replicas': '2' }, 2],
  [{ 'old.replicas': '3', 'new.replicas': '0' }, 3],
  [{ 'old.replicas': 'three' }, 1],
  [{ 'other.replicas': '9' }, 1],
])('recallReplicas() reads %j as %i', (labels, expected) => {
  expect(recallReplicas(labels as Record<string, string>, prefixes)).toBe(expected);
});

test.each([
  ['under the first', {}, { 'new.replicas': '3' }],
  [
    'also where an older one is, which would be out of date',
    { 'old.replicas': '2' },
    { 'new.replicas': '3', 'old.replicas': '3' },
  ],
  ['and changes nothing that is right already', { 'new.replicas': '3' }, {}],
])('rememberReplicas() writes %s', (_what, labels, expected) => {
  expect(rememberReplicas(labels as Record<string, string>, { replicas: 3, prefixes })).toEqual(expected);
});

test('withoutReplicas() leaves out what the proxy remembers, under every prefix', () => {
  const labels = { 'new.replicas': '1', 'old.replicas': '1', 'old.ports': '80:80', 'other.replicas': '1' };
  expect(withoutReplicas(labels, prefixes)).toEqual({ 'old.ports': '80:80', 'other.replicas': '1' });
  const others = { 'old.ports': '80:80' };
  expect(withoutReplicas(others, prefixes)).toBe(others);
});
