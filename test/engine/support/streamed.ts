import { createHash } from 'node:crypto';
import http from 'node:http';
import type { SentStream } from './apps.ts';
import { getJson } from './http.ts';

export interface StreamReader {
  /** What arrived, as soon as the app has ended the stream. @throws {Error} where it was cut. */
  readonly received: Promise<SentStream>;
  /** Bytes so far. */
  count(): number;
}

/** Downloads `/stream` of the `http` app; resolves with the first bytes. */
export function readStream(port: number): Promise<StreamReader> {
  return new Promise((resolve, reject) => {
    const request = http.get(`http://127.0.0.1:${port}/stream`, { agent: false }, (response) => {
      const hash = createHash('sha256');
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        hash.update(chunk);
      });
      const received = new Promise<SentStream>((finish, fail) => {
        response.once('error', fail);
        response.once('end', () => finish({ bytes, sha256: hash.digest('hex') }));
      });
      // Whoever started it may look at it much later.
      received.catch(() => {});
      response.once('data', () => resolve({ received, count: () => bytes }));
    });
    request.once('error', reject);
  });
}

/** Ends every `/stream` of the app at `target`, a port or the app's own address, and tells what each one sent. */
export function endStreams(target: number | string): Promise<SentStream[]> {
  const host = typeof target === 'number' ? `127.0.0.1:${target}` : target;
  return getJson<SentStream[]>(`http://${host}/stream/end`);
}
