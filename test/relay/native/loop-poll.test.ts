import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { ECONNREFUSED } from '../../../src/relay/native/errno.ts';
import { exposeGarbageCollector } from '../../../src/system/memory/collect-garbage.ts';
import { Datagrams, settleDatagrams } from '../../support/datagrams.ts';
import { nativeDatagrams } from '../../support/datagrams-ways.ts';
import { freeUdpPort } from '../../support/free-ports.ts';
import { THREAD_FILE } from '../../support/relay-thread-file.ts';

/** Built, since Node 20 takes no TypeScript. */
const LOADER = new URL('load-datagrams.js', THREAD_FILE);

describe.runIf(nativeDatagrams)('the watch of a socket that Node does not know', () => {
  const datagrams = new Datagrams();
  afterEach(() => datagrams.close());
  const open = (onReadable: () => void) =>
    nativeDatagrams?.listen({ address: '127.0.0.1', port: 0 }, { onReadable, onSendFailed() {} });

  const receive = (fd: number) => nativeDatagrams?.receive(fd) ?? { count: 0, error: 0 };
  const readAll = (fd: number) => receive(fd).count;

  test('tells again and again until everything is read, and then no more', async () => {
    let [told, read] = [0, 0];
    const socket = open(() => {
      told++;
      // Leaves the first two turns unread.
      if (told > 2) read += readAll(socket?.fd ?? -1);
    });
    const client = await datagrams.bind();
    for (const text of ['a', 'b', 'c']) client.send(text, { port: socket?.port ?? 0 });
    while (read < 3) await settleDatagrams();
    const before = told;
    await settleDatagrams();
    expect(told).toBe(before);
    socket?.close();
  });

  test('listens for the end of the process only while it has a socket to watch', () => {
    const countListeners = () => process.listenerCount('exit');
    const before = countListeners();
    const sockets = [open(() => {}), open(() => {})];
    const during = countListeners();
    for (const socket of sockets) socket?.close();
    expect([during, countListeners()]).toEqual([before + 1, before]);
  });

  test('tells nothing of a closed socket, nor of another one that has its number', async () => {
    let told = 0;
    const socket = open(() => told++);
    const client = await datagrams.bind();
    client.send('a', { port: socket?.port ?? 0 });
    socket?.close();
    socket?.close();
    let read = 0;
    const next = open(() => {
      read += readAll(next?.fd ?? -1);
    });
    expect(next?.fd).toBe(socket?.fd);
    client.send('b', { port: next?.port ?? 0 });
    while (read === 0) await settleDatagrams();
    expect(told).toBe(0);
    next?.close();
  });

  test('survives that garbage is collected right after a socket was closed', async () => {
    const collect = exposeGarbageCollector();
    for (let round = 0; round < 50; round++) {
      // In a function of its own, so that nothing of the socket stays in a variable.
      openAndClose();
      collect();
      // Takes over whatever memory was given back too early, before the loop is done with the socket.
      const clobber = Array.from({ length: 200 }, () => new Uint8Array(160).fill(0xff));
      expect(clobber).toHaveLength(200);
      await settleDatagrams();
    }
  });
  const openAndClose = () => {
    for (let count = 0; count < 5; count++) open(() => {})?.close();
  };

  test('goes on after an error of the socket', async () => {
    const port = await freeUdpPort();
    const errors: number[] = [];
    let read = 0;
    const socket = nativeDatagrams?.connect(
      { address: '127.0.0.1', port },
      {
        onReadable() {
          const { count, error } = receive(socket?.fd ?? -1);
          read += count;
          if (error !== 0) errors.push(error);
        },
        onSendFailed() {},
      },
    );
    for (let round = 1; round <= 2; round++) {
      socket?.send({ datagram: Buffer.from('nobody is there') });
      while (errors.length < round) await settleDatagrams();
    }
    const echo = await datagrams.echo({ port });
    socket?.send({ datagram: Buffer.from('hello') });
    await echo.arrived(1);
    while (read === 0) await settleDatagrams();
    expect(errors).toEqual([ECONNREFUSED, ECONNREFUSED]);
    socket?.close();
  });

  test('lets the program end while datagrams come', async () => {
    const script = `
      const { loadDatagrams } = await import(${JSON.stringify(LOADER.href)});
      const { datagrams } = await loadDatagrams();
      const onReadable = () => {
        if (datagrams.receive(socket.fd).count > 0) process.exit(7);
      };
      const socket = datagrams.listen({ address: '127.0.0.1', port: 0 }, { onReadable, onSendFailed() {} });
      const { createSocket } = await import('node:dgram');
      const client = createSocket('udp4');
      process.on('exit', () => { for (let n = 0; n < 50; n++) client.send('late', socket.port, '127.0.0.1'); });
      for (let n = 0; n < 50; n++) client.send('x', socket.port, '127.0.0.1');
    `;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    await expect(run).rejects.toMatchObject({ code: 7, stderr: '' });
  });
});
