import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createListenClaims } from '../../src/config/rules/listen-claims.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { aListener, labelsOf, serviceOf, tableOf } from '../support/builders.ts';

describe('settleConflicts', () => {
  const a = labelsOf('a', { ports: '80:1,81:1' });
  const b = labelsOf('b', { ports: '80:2' });

  test('gives the port to the first by name', () => {
    const table = tableOf({ labelled: [b, a] });
    expect(table.conflicts).toEqual([{ listener: aListener({ targetPort: 2 }), loser: 'b', winner: 'a' }]);
    expect(serviceOf(table, 'b').listeners).toEqual([]);
    expect(serviceOf(table, 'a').listeners).toHaveLength(2);
    expect(table.problems.map(formatProblem)).toEqual([
      'container b, label lazy-tcp-proxy.ports error ports: "b" can\'t listen on tcp *:80: "a" has it; it is taken over once free',
    ]);
  });

  test('gives the port to the file before labels', () => {
    const table = tableOf({ text: 'services: {z: {ports: ["127.0.0.1:80:9"]}}', labelled: [a] });
    expect(table.conflicts).toMatchObject([{ loser: 'a', winner: 'z' }]);
    expect(serviceOf(table, 'a').listeners).toMatchObject([{ port: 81 }]);
  });

  test('leaves the port with whoever listens already', () => {
    const holders = new Map([['tcp/*:80', 'b']]);
    const table = tableOf({ text: 'services: {a: {ports: ["80:9"]}}', labelled: [b], holders });
    expect(table.conflicts).toMatchObject([{ loser: 'a', winner: 'b' }]);
  });

  test('gives the port of the status server to nobody', () => {
    const c = labelsOf('c', { ports: '127.0.0.1:8080:1,82:1' });
    const table = tableOf({ labelled: [c] });
    const listener = aListener({ address: '127.0.0.1', port: 8080, targetPort: 1 });
    expect(table.conflicts).toEqual([{ listener, loser: 'c', winner: undefined }]);
    expect(serviceOf(table, 'c').listeners).toMatchObject([{ port: 82 }]);
    expect(table.problems.map(formatProblem)).toEqual([
      'container c, label lazy-tcp-proxy.ports error ports: "c" can\'t listen on tcp 127.0.0.1:8080: the status server does already (by default; status.listen can give it another place)',
    ]);
  });

  test('goes by where the status server listens now, not by what the file says of it', () => {
    const text = 'status: {listen: 9000}\nservices: {a: {ports: ["8080:1", "80:1"]}}';
    const now = { address: '', port: 8080 };
    const status = { value: now, origin: { kind: 'environment', variable: 'STATUS_PORT' } } as const;
    const { conflicts, problems } = tableOf({ text, status });
    expect(conflicts).toMatchObject([{ loser: 'a', winner: undefined, listener: { port: 8080 } }]);
    expect(problems[0]?.message).toContain('the status server does already ($STATUS_PORT)');
    expect(tableOf({ text, status: { ...status, value: 'off' } }).conflicts).toEqual([]);
  });

  test('leaves TCP and UDP alone with each other', () => {
    const table = tableOf({ labelled: [a, labelsOf('c', { 'udp-ports': '80:80' })] });
    expect(table.conflicts).toEqual([]);
  });
});

describe('createListenClaims', () => {
  const addresses = ['', '::', '0.0.0.0', '127.0.0.1', '10.0.0.1', '::1'];
  const overlap = (one: string, two: string): boolean => {
    if (one === two || ['', '::'].includes(one) || ['', '::'].includes(two)) return true;
    const [wild, other] = one === '0.0.0.0' ? [one, two] : [two, one];
    return wild === '0.0.0.0' && !other.includes(':');
  };

  test('refuses exactly what overlaps an earlier claim', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...addresses)), (wanted) => {
        const claims = createListenClaims<string>();
        const taken: string[] = [];
        for (const address of wanted) {
          const holder = claims.claim(aListener({ address }), address);
          expect(holder === undefined).toBe(!taken.some((other) => overlap(other, address)));
          if (holder === undefined) taken.push(address);
          else expect(taken.some((other) => other === holder && overlap(other, address))).toBe(true);
        }
      }),
    );
  });
});
