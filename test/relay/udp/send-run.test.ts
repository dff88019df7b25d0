import { beforeEach, describe, expect, test } from 'vitest';
import type { DatagramRun } from '../../../src/relay/udp/datagram-run.ts';
import { EAGAIN, ECONNREFUSED, EINTR, EMSGSIZE, ENOBUFS } from '../../../src/relay/native/errno.ts';
import { type RunSender, sendRun } from '../../../src/relay/udp/send-run.ts';

describe('sendRun', () => {
  let events: string[];
  let results: number[];
  let writable: boolean;
  let open: boolean;
  beforeEach(() => {
    events = [];
    results = [];
    writable = true;
    open = true;
  });
  /** Datagrams `0`, `1`, … whose calls end as `results` says; without any more results all is sent. */
  const runOf = (size: number): DatagramRun => ({
    size,
    lengthOf: (index) => String(index).length,
    copy: (index) => Buffer.from(String(index)),
    send(_fd, { from }) {
      const result = results.shift() ?? size - from;
      for (let index = from; index < from + result; index++) events.push(`sent ${index}`);
      return result;
    },
  });
  const send = (size: number, overrides: Partial<RunSender> = {}) =>
    sendRun(runOf(size), {
      fdOf: () => (open ? 3 : undefined),
      isWritable: () => writable,
      sendOne: (datagram) => void events.push(`single ${datagram}`),
      onRefused: () => void events.push('refused'),
      onUnsent: (datagram) => void events.push(`unsent ${datagram}`),
      onUnsendable: () => void events.push('unsendable'),
      ...overrides,
    });

  test('sends all with one call', () => {
    send(3);
    expect(events).toEqual(['sent 0', 'sent 1', 'sent 2']);
  });

  test('hands back the datagram in whose place an earlier refusal was told, and goes on', () => {
    results = [-ECONNREFUSED];
    send(3);
    expect(events).toEqual(['refused', 'unsent 0', 'sent 1', 'sent 2']);
  });

  test('does so, too, when the refusal was met on the way, of which the kernel does not tell', () => {
    results = [2];
    send(4);
    expect(events).toEqual(['sent 0', 'sent 1', 'refused', 'unsent 2', 'sent 3']);
  });

  test('has node:dgram keep what finds no room on the way', () => {
    results = [1];
    writable = false;
    send(3);
    expect(events).toEqual(['sent 0', 'single 1', 'single 2']);
  });

  test.each([EAGAIN, ENOBUFS])('has node:dgram keep what finds no room from the beginning (%i)', (code) => {
    results = [-code];
    send(2);
    expect(events).toEqual(['single 0', 'single 1']);
  });

  test('leaves out what can not be sent', () => {
    results = [-EMSGSIZE];
    send(2);
    expect(events).toEqual(['unsendable', 'sent 1']);
  });

  test('asks again when a signal came between', () => {
    results = [-EINTR];
    send(1);
    expect(events).toEqual(['sent 0']);
  });

  test('sends nothing more by the descriptor when the socket was closed because of a refusal', () => {
    results = [1];
    send(4, {
      onRefused() {
        open = false;
      },
    });
    expect(events).toEqual(['sent 0', 'unsent 1', 'single 2', 'single 3']);
  });
});
