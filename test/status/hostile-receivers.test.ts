import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createContainerEvent } from '../../src/status/webhook-event.ts';
import { WebhookSender } from '../../src/status/webhook-sender.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aWebhook } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { HOSTILE_ANSWERS } from '../support/hostile-answers.ts';
import { Sockets } from '../support/sockets.ts';

const MANY = 40;

describe('WebhookSender', () => {
  let clock: FakeClock;
  let lines: string[];
  let sender: WebhookSender;
  let sockets: Sockets;
  beforeEach(() => {
    clock = new FakeClock();
    lines = [];
    sockets = new Sockets();
    const logger: Logger = { ...silentLogger, warn: (_fields, message) => void lines.push(message) };
    sender = new WebhookSender({ clock, logger });
  });
  afterEach(async () => {
    sender.close();
    await settle();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });
  const anEvent = () =>
    createContainerEvent('container_started', { subject: { id: 'a1', name: 'db' }, nowMs: clock.nowMs() });
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  /** A receiver that answers well, and how many posts it has had. */
  const listenWell = async () => {
    let posts = 0;
    const { port } = await sockets.listen((socket) => {
      socket.once('data', () => {
        posts++;
        socket.end('HTTP/1.1 204 S\r\nconnection: close\r\n\r\n');
      });
    });
    return { url: `http://127.0.0.1:${port}/`, posts: () => posts };
  };

  test.each(HOSTILE_ANSWERS)('goes on when a receiver answers with $name', async (hostile) => {
    let asked = 0;
    const { port } = await sockets.listen((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          asked++;
          hostile.answer(socket);
        });
    });
    sender.send(aWebhook(`http://127.0.0.1:${port}/`), anEvent());
    sender.send(aWebhook(`http://127.0.0.1:${port}/`), anEvent());
    await until(() => asked === 1);
    if (hostile.hangs === true) await clock.advance(5_000);
    await until(() => lines.length === 1 && asked === 2);
    expect(lines[0]).toMatch(hostile.told ?? new RegExp(`it answered ${hostile.status}$`));
  });

  test('delivers to a good receiver at once while many others hang', async () => {
    const { port, sockets: hanging } = await sockets.listen();
    for (let count = 0; count < MANY; count++) {
      sender.send(aWebhook(`http://127.0.0.1:${port}/${count}`), anEvent());
      sender.send(aWebhook(`http://127.0.0.1:${port}/${count}`), anEvent());
    }
    const good = await listenWell();
    sender.send(aWebhook(good.url), anEvent());
    await until(() => good.posts() === 1);
    // Those that hung once more hang again, and more and more of them.
    for (let round = 2; round < 5; round++) {
      const before = hanging.length;
      await clock.advance(5_000);
      await until(() => hanging.length > before);
      sender.send(aWebhook(good.url), anEvent());
      await until(() => good.posts() === round);
    }
  });

  test('delivers to receivers of good standing while ever new ones hang', async () => {
    const { port } = await sockets.listen();
    const good = await listenWell();
    sender.send(aWebhook(good.url), anEvent());
    await until(() => good.posts() === 1);
    for (let count = 0; count < 1_000; count++)
      sender.send(aWebhook(`http://127.0.0.1:${port}/${count}`), anEvent());
    sender.send(aWebhook(good.url), anEvent());
    await until(() => good.posts() === 2);
    await clock.advance(5_000);
    sender.send(aWebhook(good.url), anEvent());
    await until(() => good.posts() === 3);
  });

  test('leaves no connection to a receiver behind', async () => {
    const { port, sockets: opened } = await sockets.listen((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.write('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
        });
    });
    sender.send(aWebhook(`http://127.0.0.1:${port}/`), anEvent());
    await until(() => lines.length === 1);
    await until(() => opened[0]?.readableEnded === true || opened[0]?.destroyed === true);
  });
});
