import { describe, expect, test } from 'vitest';
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from '../../../../src/relay/native/epoll-events.ts';
import { ECONNREFUSED, ECONNRESET, EPIPE } from '../../../../src/relay/native/errno.ts';
import { RelayedPair } from '../../../../src/relay/splice/thread/relayed-pair.ts';
import { ScriptedKernel } from '../scripted-kernel.ts';

/** What the kernel tells of a connection that was reset, and of one that was refused. */
const OVER = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
const ANSWER = new TextEncoder().encode('answer');
const QUESTION = new TextEncoder().encode('question');

function createPair(kernel: ScriptedKernel): RelayedPair {
  const parts = { kernel, pipes: kernel, buffer: new Uint8Array(64), bytesPerTurn: 256 };
  const sockets = { client: kernel.target, upstream: kernel.source, keepAliveMs: 60_000 };
  return new RelayedPair(sockets, { parts, isConnected: false });
}

describe('RelayedPair whose upstream fails as soon as it is connected', () => {
  test('passes on what the upstream has sent before', () => {
    const kernel = new ScriptedKernel({ input: ANSWER, pendingError: ECONNRESET });
    const pair = createPair(kernel);
    pair.note('upstream', OVER);
    expect([pair.isConnected, pair.run()]).toEqual([true, 'broken']);
    expect(kernel.output).toEqual(ANSWER);
  });

  test('passes on at once what an end has sent that turns out to be gone when it is written to', () => {
    const answers = [ANSWER.length, -EPIPE];
    const kernel = new ScriptedKernel({ input: Uint8Array.from([...ANSWER, ...QUESTION]), answers });
    const pair = createPair(kernel);
    pair.note('upstream', EPOLLIN | EPOLLOUT);
    while (pair.run() === 'more');
    expect(kernel.output).toEqual(QUESTION);
  });

  test('is refused, with the client as it was, when the upstream was never connected', () => {
    const kernel = new ScriptedKernel({ input: ANSWER, pendingError: ECONNREFUSED });
    const pair = createPair(kernel);
    pair.note('client', EPOLLIN | EPOLLOUT);
    pair.note('upstream', OVER);
    expect([pair.isConnected, pair.run()]).toEqual([false, 'refused']);
    expect(kernel.log).toEqual([]);
  });

  test('drains until the client has acknowledged all of it', () => {
    const kernel = new ScriptedKernel({ input: ANSWER, pendingError: ECONNRESET });
    const pair = createPair(kernel);
    pair.note('upstream', OVER);
    kernel.unacknowledgedBytes = ANSWER.length;
    expect([pair.run(), pair.delivered]).toEqual(['draining', 0]);
    kernel.unacknowledgedBytes = 0;
    expect([pair.run(), pair.delivered]).toEqual(['broken', ANSWER.length]);
  });
});
