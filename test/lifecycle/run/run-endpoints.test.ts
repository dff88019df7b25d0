import { describe, expect, test } from 'vitest';
import { RunEndpoints } from '../../../src/lifecycle/run/run-endpoints.ts';

const at = (host: string, port = 8080) => ({ host, port });
const A = at('10.0.0.1');
const B = at('10.0.0.2');
const C = at('10.0.0.3');
const HTTP = { protocol: 'tcp', port: 'http' } as const;
const mapped = (...endpoints: readonly ReturnType<typeof at>[]) =>
  new RunEndpoints({ hosts: endpoints.map(({ host }) => host), ports: { 'tcp/http': endpoints } });

describe('RunEndpoints', () => {
  test('reaches every port at the hosts, always best first, where ports are not mapped', () => {
    const run = new RunEndpoints({ hosts: ['10.0.0.1', 'fd00::1'] });
    const expected = [at('10.0.0.1', 80), at('fd00::1', 80)];
    expect(run.list({ protocol: 'tcp', port: 80 })).toEqual(expected);
    expect(run.list({ protocol: 'tcp', port: 80 })).toEqual(expected);
  });

  test('tries the host first that answered last, in the next run as well', () => {
    const addresses = { hosts: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] };
    const run = new RunEndpoints(addresses);
    expect([
      run.answered(at('10.0.0.1')),
      run.answered(at('10.0.0.2')),
      run.answered(at('10.0.0.2')),
    ]).toEqual([false, true, false]);
    for (const current of [run, new RunEndpoints(addresses, { lastHost: run.lastHost })]) {
      const hosts = current.list({ protocol: 'tcp', port: 80 }).map(({ host }) => host);
      expect(hosts).toEqual(['10.0.0.2', '10.0.0.1', '10.0.0.3']);
    }
  });

  test('forgets the host that answered last when the run is not reached there any more', () => {
    const run = new RunEndpoints({ hosts: ['10.0.0.4', '10.0.0.5'] }, { lastHost: '10.0.0.2' });
    expect(run.list({ protocol: 'tcp', port: 80 }).map(({ host }) => host)).toEqual(['10.0.0.4', '10.0.0.5']);
  });

  test('tells of no other order where the host that was to be first has answered', () => {
    const run = new RunEndpoints({ hosts: ['10.0.0.1', '10.0.0.2'] }, { lastHost: '10.0.0.9' });
    expect([run.answered(at('10.0.0.1')), run.answered(at('10.0.0.2'))]).toEqual([false, true]);
  });

  test("leaves the proxy's own listeners out, and says so", () => {
    const explainOwn = (_: unknown, { host }: { readonly host: string }) =>
      host === A.host ? `${host} is the proxy itself` : undefined;
    const run = new RunEndpoints({ hosts: [A.host, B.host] }, { explainOwn });
    const target = { protocol: 'tcp', port: 8080 } as const;
    expect([run.list(target), run.next(target), run.next(target)]).toEqual([[B], B, B]);
    expect([run.explainOwn(target), run.explainLoop(target)]).toEqual([
      '10.0.0.1 is the proxy itself',
      undefined,
    ]);
    const lost = new RunEndpoints({ hosts: [A.host] }, { explainOwn });
    expect([lost.list(target), lost.explainLoop(target)]).toEqual([[], '10.0.0.1 is the proxy itself']);
    expect(() => lost.next(target)).toThrow('10.0.0.1 is the proxy itself');
  });

  test('begins each list with the next of equal endpoints', () => {
    const run = mapped(A, B, C);
    expect([run.list(HTTP), run.list(HTTP), run.list(HTTP), run.list(HTTP)]).toEqual([
      [A, B, C],
      [B, C, A],
      [C, A, B],
      [A, B, C],
    ]);
  });

  test('takes one endpoint after the other', () => {
    const run = mapped(A, B);
    expect([run.next(HTTP), run.next(HTTP), run.next(HTTP)]).toEqual([A, B, A]);
  });

  test('has nothing at a port that is not mapped', () => {
    const run = mapped(A);
    expect(run.list({ protocol: 'tcp', port: 80 })).toEqual([]);
    expect(() => run.next({ protocol: 'udp', port: 'http' })).toThrow('no address');
  });

  test('ends the lifetime of an endpoint that goes, and of no other', () => {
    const run = mapped(A, B);
    const lifetimes = [run.lifetime(A), run.lifetime(B)];
    run.replace({ hosts: [B.host, C.host], ports: { 'tcp/http': [B, C] } });
    expect(lifetimes.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(run.list(HTTP)).toEqual([B, C]);
  });

  test('ends every lifetime with the run', () => {
    const run = mapped(A);
    const lifetime = run.lifetime(A);
    run.end();
    expect(lifetime.aborted).toBe(true);
  });
});
