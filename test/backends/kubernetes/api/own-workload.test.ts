import { expect, test } from 'vitest';
import { findOwnWorkload } from '../../../../src/backends/kubernetes/api/own-workload.ts';

const namespace = 'lazy-proxy';

test.each([
  ['lazy-proxy-7d9f8c6b5d-x2v4q', 'deployment', 'lazy-proxy'],
  ['proxy-6c-bcdfg', 'deployment', 'proxy'],
  ['my.proxy-66b6c48dd5-7xk2p', 'deployment', 'my.proxy'],
  ['lazy-proxy-0', 'statefulset', 'lazy-proxy'],
  ['lazy-proxy-12', 'statefulset', 'lazy-proxy'],
])('the pod %s is of the %s %s', (pod, resource, name) => {
  expect(findOwnWorkload({ namespace, pod })).toEqual({ resource, namespace, name });
});

test.each(['laptop', 'my-laptop', 'lazy-proxy-aeiou', 'ip-10-0-0-1.ec2.internal', ''])(
  'the host name %j is of no workload',
  (pod) => {
    expect(findOwnWorkload({ namespace, pod })).toBeUndefined();
  },
);
