import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { MAX_HELLO_BYTES, readClientHello } from '../../../src/relay/tls/client-hello.ts';

/** What a real client sends first. */
async function greet(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', servername }).on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** The same greeting in records of so many bytes. */
function split(hello: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 5; at < hello.length; at += size) {
    const part = hello.subarray(at, at + size);
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(parts);
}

describe('readClientHello', () => {
  test('finds the name that a client asks for, whole or over many records', async () => {
    const hello = await greet('Git.Example.com');
    for (const bytes of [hello, split(hello, 50), split(hello, 1)])
      expect(readClientHello(bytes)).toEqual({ kind: 'hello', serverName: 'git.example.com' });
  });

  test('waits for the rest at each place where it may be cut', async () => {
    const hello = split(await greet('git.example.com'), 90);
    for (let length = 0; length < hello.length; length++)
      expect(readClientHello(hello.subarray(0, length)).kind).toBe('incomplete');
  });

  test('finds no name where none is sent', async () => {
    expect(readClientHello(await greet(''))).toEqual({ kind: 'hello', serverName: undefined });
  });

  test('refuses what is no greeting, and never asks for more than its bound', () => {
    expect(readClientHello(Buffer.from('GET / HTTP/1.1\r\n')).kind).toBe('malformed');
    const long = Buffer.concat([Buffer.from([22, 3, 1, 255, 255, 1, 255, 255, 255])]);
    expect(readClientHello(long).kind).toBe('malformed');
    const empty = Buffer.concat(Array.from({ length: MAX_HELLO_BYTES }, () => Buffer.from([22, 3, 1, 0, 0])));
    expect(readClientHello(empty).kind).toBe('malformed');
  });

  test('throws for no bytes that are changed', async () => {
    const hello = await greet('git.example.com');
    for (let at = 0; at < hello.length; at++)
      for (const value of [0, 1, 127, 255]) {
        const changed = Buffer.from(hello);
        changed[at] = value;
        expect(['hello', 'incomplete', 'malformed']).toContain(readClientHello(changed).kind);
      }
  });
});
