import { expect } from 'vitest';
import { CONTAINER_EVENTS } from '../../../src/backends/docker/container-cache.ts';
import { parseEngineAddress } from '../../../src/backends/engine/engine-address.ts';
import { createEngineClient } from '../../../src/backends/engine/engine-client.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { httpdCommand } from './apps.ts';
import type { TestBed } from './test-bed.ts';
import { waitUntil } from './wait-until.ts';

/** The engine tells what was between two moments, with the times of its own clock, and does not wait for long. */
export async function expectPastEvents(bed: TestBed, host: string): Promise<void> {
  const client = createEngineClient(parseEngineAddress(host, {}), systemClock);
  bed.atEnd(() => client.close());
  const sinceNs = Date.now() * 1e6;
  const { id } = await bed.scope.createContainer({ name: bed.scope.name('past'), cmd: httpdCommand() });
  const signal = AbortSignal.timeout(10_000);
  const ask = async () => {
    const found = await client.pastEvents({
      ...{ filter: CONTAINER_EVENTS, sinceNs, untilMs: Date.now() + 1_000, signal },
    });
    return found.filter((event) => event.id === id);
  };
  const event = await waitUntil(async () => (await ask())[0], { what: 'the event of the creation' });
  expect(event).toMatchObject({ type: 'container', action: 'create' });
  expect(event?.timeNs).toBeGreaterThan(sinceNs);
  expect(event?.timeNs).toBeLessThan(Date.now() * 1e6);
}
