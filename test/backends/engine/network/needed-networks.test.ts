import { expect, test } from 'vitest';
import {
  isSameNetwork,
  listNeededNetworks,
} from '../../../../src/backends/engine/network/needed-networks.ts';

test.each([
  ['every user-defined network', ['a', 'b'], ['a', 'b']],
  ['the default bridge when there is no other', ['bridge'], ['bridge']],
  ['no default bridge beside another one', ['bridge', 'a'], ['a']],
  ['nothing on the network of the host', ['host'], []],
  ['nothing without a network', ['none'], []],
  ['no inside of a swarm', ['ingress', 'a'], ['a']],
])('listNeededNetworks names %s', (_, names, expected) => {
  const networks = Object.fromEntries(names.map((name) => [name, { NetworkID: '' }]));
  const needed = listNeededNetworks({ NetworkSettings: { Networks: networks } });
  expect(needed).toEqual(expected.map((name) => ({ name, id: undefined })));
});

test.each([
  ['the ids are', { name: 'a', id: '1' }, { name: 'b', id: '1' }, true],
  ['only the names are', { name: 'a', id: '1' }, { name: 'a', id: '2' }, false],
  ['there is one id alone', { name: 'a', id: undefined }, { name: 'a', id: '2' }, true],
  ['nothing is', { name: 'a', id: undefined }, { name: 'b', id: undefined }, false],
])('isSameNetwork when %s the same', (_, one, other, expected) => {
  expect(isSameNetwork(one, other)).toBe(expected);
});
