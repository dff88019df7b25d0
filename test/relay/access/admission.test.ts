import { beforeEach, describe, expect, test } from 'vitest';
import {
  Admission,
  type Admitted,
  type Applicant,
  type ServiceBounds,
} from '../../../src/relay/access/admission.ts';
import { createClientCounts } from '../../../src/relay/access/client-counts.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

/** Clients may have 896 of them, and share from 768 on. */
const LIMIT = 1_024;
const CROWDED = { fd: 800 };

describe('Admission', () => {
  let clock: FakeClock;
  let logger: ReturnType<typeof createRecordingLogger>;
  let admission: Admission;

  beforeEach(() => {
    clock = new FakeClock();
    logger = createRecordingLogger();
    const descriptors = new Descriptors({ limit: LIMIT, clock, logger });
    admission = new Admission({ descriptors, counts: createClientCounts(7), clock, logger });
  });

  const ask = (
    service: string,
    options: Partial<ServiceBounds> & Partial<Pick<Applicant, 'address' | 'fd' | 'kind'>> = {},
  ): Admitted => {
    const { maxConnections = 0, maxConnectionsPerAddress = 0, address = '10.0.0.1' } = options;
    const { kind = 'connection', fd = 20 } = options;
    const bounds = { service, maxConnections, maxConnectionsPerAddress };
    return admission.admit({ bounds, address, endpoint: `${address}:5`, kind, fd });
  };
  const boundOf = (admitted: Admitted) => (admitted.kind === 'refused' ? admitted.bound : 'none');
  const fill = (service: string, count: number, address?: (index: number) => string) => {
    for (let index = 0; index < count; index++)
      expect(ask(service, address === undefined ? {} : { address: address(index) }).kind).toBe('seat');
  };

  test('bounds nobody while a quarter of the descriptors is left', () => {
    fill('web', 350);
    expect(boundOf(ask('web', { fd: 700 }))).toBe('none');
  });

  test('has room for an address again as soon as one of its clients has left', () => {
    const bounds = { maxConnectionsPerAddress: 2 };
    const [first, second] = [ask('web', bounds), ask('web', bounds)];
    expect(boundOf(ask('web', bounds))).toBe('max-connections-per-address');
    if (first.kind === 'seat') first.leave();
    expect(boundOf(ask('web', bounds))).toBe('none');
    expect(boundOf(ask('web', bounds))).toBe('max-connections-per-address');
    expect(second.kind).toBe('seat');
  });

  test('counts descriptors that have gone over to the relay thread, which frees low numbers', () => {
    fill('web', 373, (index) => `10.0.${index >> 8}.${index & 255}`);
    expect(boundOf(ask('web', { fd: 30, address: '10.9.0.1' }))).toBe('service-share');
    expect(boundOf(ask('db', { fd: 30, address: '10.9.0.1' }))).toBe('none');
  });

  test('gives a service that has more than its share no more when they run short, and others theirs', () => {
    // Of 896 a half each: one share is kept for who comes next.
    fill('web', 224, (index) => `10.0.${index}.1`);
    expect(boundOf(ask('web', { ...CROWDED, address: '10.9.0.1' }))).toBe('service-share');
    expect(boundOf(ask('db', { ...CROWDED, address: '10.9.0.1' }))).toBe('none');
    expect(boundOf(ask('db', { fd: 896 }))).toBe('no-descriptors');
  });

  test('gives an address that has more than its share of all no more than its share of a service', () => {
    for (const service of ['a', 'b', 'c', 'd']) fill(service, 80);
    fill('a', 1, () => '10.9.0.1');
    expect(boundOf(ask('a', CROWDED))).toBe('address-share');
    expect(boundOf(ask('a', { ...CROWDED, address: '10.9.0.1' }))).toBe('none');
    expect(boundOf(ask('e', CROWDED))).toBe('none');
  });

  test('lets an address have more than its share of a service while it has no more than its share of all', () => {
    // With seven services in use each may have 112, and one of the two addresses of this one 37 of these.
    for (let other = 1; other <= 6; other++) fill(`other ${other}`, 1, () => '10.0.0.2');
    fill('web', 1, () => '10.0.0.2');
    fill('web', 25, () => '10.0.0.1');
    expect(ask('web', { fd: 780, address: '10.0.0.1' }).kind).toBe('seat');
  });

  test('forgets the oldest service before its number is given to another', () => {
    expect(admission.numberOf('oldest')).toBe(0);
    for (let index = 1; index < 65_536; index++) admission.numberOf(`service ${index}`);
    expect(admission.numberOf('newest')).toBe(0);
    expect(admission.numberOf('oldest')).not.toBe(0);
  });

  test('leaves a handful to each who comes last when services were attacked one after the other', () => {
    const address = (index: number) => `10.0.${index >> 8}.${index & 255}`;
    const attack = (service: string) => {
      for (let index = 0; index < 500; index++) ask(service, { fd: 30, address: address(index) });
    };
    for (const service of ['a', 'b', 'c', 'd', 'e']) attack(service);
    for (const service of ['x', 'y']) fill(service, 4, (index) => `10.9.0.${index}`);
    expect(boundOf(ask('a', { fd: 30, address: '10.9.1.1' }))).toBe('service-share');
  });

  test('gives back what a client had', () => {
    const seats = Array.from({ length: 224 }, () => ask('web'));
    expect(boundOf(ask('web', { ...CROWDED, address: '10.9.0.1' }))).toBe('service-share');
    for (const seat of seats) if (seat.kind === 'seat') seat.leave();
    expect(boundOf(ask('web', CROWDED))).toBe('none');
  });

  test('bounds connections and flows of a service together', () => {
    const seat = ask('web', { maxConnections: 2 });
    ask('web', { maxConnections: 2, kind: 'flow' });
    expect(boundOf(ask('web', { maxConnections: 2 }))).toBe('max-connections');
    expect(boundOf(ask('db', { maxConnections: 2 }))).toBe('none');
    if (seat.kind === 'seat') seat.leave();
    expect(boundOf(ask('web', { maxConnections: 2 }))).toBe('none');
  });

  test('bounds those of one address, which IPv6 has by networks', () => {
    const bound = { maxConnectionsPerAddress: 1 };
    for (const address of ['10.0.0.1', '::ffff:10.0.0.2', '2001:db8::1'])
      expect(boundOf(ask('web', { ...bound, address }))).toBe('none');
    for (const address of ['::ffff:10.0.0.1', '10.0.0.2', '2001:db8::2'])
      expect(boundOf(ask('web', { ...bound, address }))).toBe('max-connections-per-address');
    expect(boundOf(ask('web', { ...bound, address: '2001:db8:0:1::1' }))).toBe('none');
  });

  test('says once in ten seconds which bound was met', async () => {
    fill('web', 1);
    for (let count = 0; count < 3; count++) {
      const admitted = ask('web', { maxConnections: 1 });
      if (admitted.kind === 'refused') admitted.tell();
    }
    await clock.advance(10_000);
    const last = ask('web', { maxConnections: 1 });
    if (last.kind === 'refused') last.tell();
    const what = 'web has 1 connection, and max_connections allows 1: web: connection of 10.0.0.1:5 closed';
    expect(logger.lines.map(({ message }) => message)).toEqual([what, `${what} (and 2 times before)`]);
  });

  test('says what a service has of the descriptors, and how to get more', () => {
    fill('web', 224, (index) => `10.0.${index}.1`);
    const admitted = ask('web', CROWDED);
    if (admitted.kind === 'refused') admitted.tell();
    expect(logger.lines.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^too few file descriptors; the limit is 1024, raise it .*: web holds more than its share \(448 of 448 .*: web: connection of 10\.0\.0\.1:5 closed$/,
      ),
    ]);
  });
});
