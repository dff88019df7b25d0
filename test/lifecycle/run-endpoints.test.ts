import { describe, expect, it } from 'vitest';
import { RunEndpoints } from '../../src/lifecycle/run-endpoints.ts';

const at = (host: string, port = 8080) => ({ host, port });
const A = at('10.0.0.1');
const B = at('10.0.0.2');
const C = at('10.0.0.3');
const HTTP = { protocol: 'tcp', port: 'http' } as const;
const mapped = (...endpoints: readonly ReturnType<typeof at>[]) =>
  new RunEndpoints({ hosts: endpoints.map(({ host }) => host), ports: { 'tcp/http': endpoints } });

describe('RunEndpoints', () => {
  it('reaches every port at the hosts, always best first, where ports are not mapped', () => {
    const run = new RunEndpoints({ hosts: ['10.0.0.1', 'fd00::1'] });
    const expected = [at('10.0.0.1', 80), at('fd00::1', 80)];
    expect(run.list({ protocol: 'tcp', port: 80 })).toEqual(expected);
    expect(run.list({ protocol: 'tcp', port: 80 })).toEqual(expected);
  });

  it('begins each list with the next of equal endpoints', () => {
    const run = mapped(A, B, C);
    expect([run.list(HTTP), run.list(HTTP), run.list(HTTP), run.list(HTTP)]).toEqual([
      [A, B, C],
      [B, C, A],
      [C, A, B],
      [A, B, C],
    ]);
  });

  it('takes one endpoint after the other', () => {
    const run = mapped(A, B);
    expect([run.next(HTTP), run.next(HTTP), run.next(HTTP)]).toEqual([A, B, A]);
  });

  it('has nothing at a port that is not mapped', () => {
    const run = mapped(A);
    expect(run.list({ protocol: 'tcp', port: 80 })).toEqual([]);
    expect(() => run.next({ protocol: 'udp', port: 'http' })).toThrow('no address');
  });

  it('ends the lifetime of an endpoint that goes, and of no other', () => {
    const run = mapped(A, B);
    const lifetimes = [run.lifetime(A), run.lifetime(B)];
    run.replace({ hosts: [B.host, C.host], ports: { 'tcp/http': [B, C] } });
    expect(lifetimes.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(run.list(HTTP)).toEqual([B, C]);
  });

  it('ends every lifetime with the run', () => {
    const run = mapped(A);
    const lifetime = run.lifetime(A);
    run.end();
    expect(lifetime.aborted).toBe(true);
  });
});
