import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Datagrams, settleDatagrams } from '../../support/datagrams.ts';
import { nativeDatagrams } from '../../support/datagrams-ways.ts';
import { THREAD_FILE } from '../../support/relay-thread-file.ts';

/** Built, since Node 20 takes no TypeScript. */
const LOADER = new URL('load-datagrams.js', THREAD_FILE);

describe.runIf(nativeDatagrams)('the watch of a socket that Node does not know', () => {
  const datagrams = new Datagrams();
  afterEach(() => datagrams.close());
  const open = () => nativeDatagrams?.openSocket({ address: '127.0.0.1', port: 0 });

  it('tells again and again until everything is read, and then no more', async () => {
    const socket = open();
    let [told, read] = [0, 0];
    socket?.watch(() => {
      told++;
      // Leaves the first two turns unread.
      if (told > 2) read += nativeDatagrams?.receive(socket.fd).count ?? 0;
    });
    const client = await datagrams.bind();
    for (const text of ['a', 'b', 'c']) client.send(text, { port: socket?.port ?? 0 });
    while (read < 3) await settleDatagrams();
    const before = told;
    await settleDatagrams();
    expect(told).toBe(before);
    socket?.close();
  });

  it('tells of room to send while that is wanted', async () => {
    const socket = open();
    let told = 0;
    const watch = socket?.watch(() => told++);
    await settleDatagrams();
    expect(told).toBe(0);
    watch?.alsoWritable('on');
    while (told < 2) await settleDatagrams();
    watch?.alsoWritable('off');
    await settleDatagrams();
    const before = told;
    await settleDatagrams();
    expect(told).toBe(before);
    socket?.close();
  });

  it('tells nothing of a closed socket, nor of another one that has its number', async () => {
    const socket = open();
    let told = 0;
    socket?.watch(() => told++);
    const client = await datagrams.bind();
    client.send('a', { port: socket?.port ?? 0 });
    socket?.close();
    socket?.close();
    const next = open();
    expect(next?.fd).toBe(socket?.fd);
    let nextTold = 0;
    next?.watch(() => (nextTold += nativeDatagrams?.receive(next.fd).count ?? 0));
    client.send('b', { port: next?.port ?? 0 });
    while (nextTold === 0) await settleDatagrams();
    expect(told).toBe(0);
    next?.close();
  });

  it('lets the program end while datagrams come', async () => {
    const script = `
      const { loadDatagrams } = await import(${JSON.stringify(LOADER.href)});
      const { datagrams } = await loadDatagrams();
      const socket = datagrams.openSocket({ address: '127.0.0.1', port: 0 });
      socket.watch(() => {
        if (datagrams.receive(socket.fd).count > 0) process.exit(7);
      });
      const { createSocket } = await import('node:dgram');
      const client = createSocket('udp4');
      process.on('exit', () => { for (let n = 0; n < 50; n++) client.send('late', socket.port, '127.0.0.1'); });
      for (let n = 0; n < 50; n++) client.send('x', socket.port, '127.0.0.1');
    `;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    await expect(run).rejects.toMatchObject({ code: 7, stderr: '' });
  });
});
