import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { untilHttpHealthy } from '../../src/lifecycle/run/http-check.ts';
import { aUrl } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { HOSTILE_ANSWERS } from '../support/hostile-answers.ts';
import { Sockets } from '../support/sockets.ts';

describe('untilHttpHealthy', () => {
  let clock: FakeClock;
  let stop: AbortController;
  let sockets: Sockets;
  let failures: string[];
  beforeEach(() => {
    clock = new FakeClock();
    stop = new AbortController();
    sockets = new Sockets();
    failures = [];
  });
  afterEach(async () => {
    stop.abort(new Error('over'));
    await settle();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };

  test.each(HOSTILE_ANSWERS)('asks again after an answer with $name', async (hostile) => {
    let asked = 0;
    const { port } = await sockets.listen((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          if (++asked === 1) hostile.answer(socket);
          else socket.end('HTTP/1.1 204 S\r\nconnection: close\r\n\r\n');
        });
    });
    const healthy = untilHttpHealthy(aUrl(`http://{{container}}:${port}/health`), {
      ...{ hosts: ['127.0.0.1'], clock, signal: stop.signal },
      onFailure: (reason) => void failures.push(reason),
    });
    await until(() => asked === 1);
    if (hostile.hangs === true) await clock.advance(2_000);
    await until(() => failures.length === 1);
    await clock.advance(25);
    await healthy;
    expect(failures[0]).toMatch(
      hostile.told ??
        new RegExp(`^GET http://127.0.0.1:${port}/health answered ${hostile.status} \\(ready: 200-299\\)$`),
    );
  });
});
