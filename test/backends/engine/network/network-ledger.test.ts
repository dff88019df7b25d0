import { describe, expect, test } from 'vitest';
import { NetworkLedger } from '../../../../src/backends/engine/network/network-ledger.ts';
import type { OwnPlace } from '../../../../src/backends/engine/network/own-place.ts';

const DB = { kind: 'docker', name: 'db' } as const;
const WEB = { kind: 'docker', name: 'web' } as const;
const net = (name: string) => ({ name, id: `id-${name}` });

/** A proxy in a container that is on these networks. */
function placeOn(...names: readonly string[]): OwnPlace {
  return {
    ...{ containerId: 'proxy', refs: [], canJoin: true, hostAddresses: [] },
    networks: names.map((name) => ({ ...net(name), addresses: [], isMarked: true })),
    networkNames: new Set(names),
  };
}

describe('NetworkLedger', () => {
  test('proposes the networks of a workload that is waited for before those of others', () => {
    const ledger = new NetworkLedger(true);
    ledger.need(DB, [net('a')]);
    ledger.need(WEB, [net('b')]);
    expect(ledger.nextStep(placeOn(), ['docker/web'])).toMatchObject({ act: 'join', network: net('b') });
    expect(ledger.nextStep(placeOn('b'), ['docker/web'])).toMatchObject({ act: 'join', network: net('a') });
    expect(ledger.nextStep(placeOn('a', 'b'), [])).toBeUndefined();
  });

  test('leaves what it joined and nobody needs, and asks no second time where that fails', () => {
    const ledger = new NetworkLedger(true);
    for (const name of ['a', 'b']) ledger.setJoined(net(name).id);
    ledger.need(DB, [net('a')]);
    const place = placeOn('a', 'b', 'foreign');
    const step = ledger.nextStep(place, []);
    expect(step).toMatchObject({ act: 'leave', network: net('b') });
    if (step !== undefined) ledger.setFailed(step);
    expect(ledger.nextStep(place, [])).toBeUndefined();
    ledger.retryAll();
    expect(ledger.nextStep(place, [])).toMatchObject({ act: 'leave', network: net('b') });
  });

  test('joins a network that failed no second time, until its workload is looked at again', () => {
    const ledger = new NetworkLedger(true);
    ledger.need(DB, [net('a')]);
    ledger.setFailed({ act: 'join', network: net('a'), workload: DB });
    expect(ledger.nextStep(placeOn(), [])).toBeUndefined();
    ledger.need(DB, [net('a')]);
    expect(ledger.nextStep(placeOn(), [])).toMatchObject({ act: 'join', network: net('a') });
  });

  test('leaves a network for a moment, and joins it again where it is needed', () => {
    const ledger = new NetworkLedger(true);
    ledger.need(DB, [net('a')]);
    ledger.vacate(net('a').id);
    const step = ledger.nextStep(placeOn('a'), []);
    expect(step).toMatchObject({ act: 'leave', network: net('a') });
    expect(ledger.isVacating(net('a').id)).toBe(true);
    if (step !== undefined) ledger.setTried(step);
    expect(ledger.isVacating(net('a').id)).toBe(false);
    expect(ledger.nextStep(placeOn(), [])).toMatchObject({ act: 'join', network: net('a') });
  });

  test('keeps what a renamed workload needs', () => {
    const ledger = new NetworkLedger(true);
    ledger.setJoined(net('a').id);
    ledger.need(DB, [net('a')]);
    ledger.rename({ from: DB, to: WEB });
    expect(ledger.nextStep(placeOn('a'), [])).toBeUndefined();
    ledger.forget(WEB);
    expect(ledger.nextStep(placeOn('a'), [])).toMatchObject({ act: 'leave', network: net('a') });
  });
});
