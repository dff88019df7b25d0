import { describe, expect, test } from 'vitest';
import {
  createConnectionEnd,
  createConnectionStart,
  createContainerEvent,
} from '../../src/status/webhook-event.ts';

const ID = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
const subject = { id: ID, name: 'my-postgres' };
const nowMs = Date.UTC(2026, 3, 1, 12, 34, 56, 789);

describe('createContainerEvent', () => {
  test.each(['container_started', 'container_stopped'] as const)('has exactly these fields: %s', (event) => {
    expect(createContainerEvent(event, { subject, nowMs })).toEqual({
      event,
      timestamp: '2026-04-01T12:34:56Z',
      container_id: '0123456789ab',
      container_name: 'my-postgres',
    });
  });

  test('leaves an id as it is that is shorter, or not there', () => {
    const idOf = (id: string) =>
      createContainerEvent('container_started', { subject: { id, name: 'hello' }, nowMs });
    expect(idOf('4242')).toMatchObject({ container_id: '4242' });
    expect(idOf('')).toMatchObject({ container_id: '' });
  });
});

const connection = {
  timestamp: '2026-04-01T12:34:56Z',
  container_id: '0123456789ab',
  container_name: 'my-postgres',
  connection_id: 'c1',
  remote_addr: '10.0.0.5',
  remote_port: 4242,
};
const remote = { address: '10.0.0.5', port: 4242, endpoint: '10.0.0.5:4242' };
const details = { subject, connectionId: 'c1', remote, nowMs };

describe('createConnectionStart', () => {
  test.each(['tcp_conn_start', 'udp_flow_start'] as const)('has exactly these fields: %s', (event) => {
    expect(createConnectionStart(event, details)).toEqual({ event, ...connection });
  });
});

describe('createConnectionEnd', () => {
  test.each(['tcp_conn_end', 'udp_flow_end'] as const)(
    'tells what was carried, and for how long: %s',
    (event) => {
      const carried = { durationMs: 1_234.5, bytesUp: 10, bytesDown: 2_000, listenPort: 5432 };
      expect(createConnectionEnd(event, { ...details, ...carried })).toEqual({
        ...{ event, ...connection },
        ...{ duration_ms: 1_235, bytes_sent: 2_000, bytes_received: 10, listen_port: 5432 },
      });
    },
  );
});
