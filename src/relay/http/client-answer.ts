/** How an answer is handed to a client, by HTTP/1 or HTTP/2. Headers are flat lists. */
import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { resetSocket } from '../tcp/reset-socket.ts';
import type { RawHeaders } from './message/hop-headers.ts';
import { headerOf } from './message/read-request.ts';

/** NGHTTP2_INTERNAL_ERROR */
const INTERNAL_ERROR = 2;
/** NGHTTP2_CANCEL */
const CANCEL = 8;

/** A chunk of so many bytes is cheaper to copy than to send apart. */
const SMALL_BYTES = 4_096;

/** The stream of a response by HTTP/2; undefined in HTTP/1. */
function streamOf(response: ServerResponse): ServerHttp2Stream | undefined {
  return 'stream' in response ? (response.stream as ServerHttp2Stream) : undefined;
}

/** @throws where a header is none. */
export function writeHead(
  response: ServerResponse,
  head: { readonly status: number; readonly message: string; readonly headers: string[] },
): void {
  const { status, message, headers } = head;
  if (streamOf(response) === undefined)
    response.writeHead(status, message, announcesInVain(response, head) ? withoutTrailer(headers) : headers);
  else response.writeHead(status, collect(headers));
}

/** Node takes `Trailer` for a mistake where none can follow: they do so only behind chunks. */
function announcesInVain(
  { req: { httpVersion, method } }: ServerResponse,
  { status, headers }: { readonly status: number; readonly headers: RawHeaders },
): boolean {
  if (headerOf(headers, 'trailer') === undefined) return false;
  if (httpVersion !== '1.1' || method === 'HEAD' || status === 204 || status === 304) return true;
  return headerOf(headers, 'content-length') !== undefined;
}

function withoutTrailer(headers: RawHeaders): string[] {
  const isKept = (index: number) => headers[index - (index % 2)]?.toLowerCase() !== 'trailer';
  return headers.filter((_, index) => isKept(index));
}

export function addTrailers(response: ServerResponse, trailers: RawHeaders): void {
  if (trailers.length > 0) response.addTrailers(streamOf(response) ? singles(trailers) : pairsOf(trailers));
}

/** Ends an answer with the last of its body. */
export function endWith(response: ServerResponse, chunk: Buffer): void {
  // As text it goes in one piece with the head, where the head was not sent yet.
  if (chunk.length > SMALL_BYTES || streamOf(response) !== undefined) response.end(chunk);
  else response.end(chunk.toString('latin1'), 'latin1');
}

/** Ends an answer in a way that no client takes for its end. */
export function breakOff(response: ServerResponse): void {
  const stream = streamOf(response);
  if (stream !== undefined) return stream.close(INTERNAL_ERROR);
  const { socket } = response;
  if (socket === null || socket.destroyed) return;
  // TLS has a word for the end, which is missing then.
  if ('encrypted' in socket) socket.destroy();
  else resetSocket(socket);
}

/** HTTP/2: nothing more of the request is wanted. */
export function closeStream(response: ServerResponse): void {
  streamOf(response)?.close();
}

/** Gives a request up without an answer. */
export function drop(response: ServerResponse): void {
  const stream = streamOf(response);
  if (stream === undefined) response.destroy();
  else stream.close(CANCEL);
}

/** By name in lower case, with all values of a name. */
export function collect(headers: RawHeaders): Record<string, string[]> {
  const collected: Record<string, string[]> = {};
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase() ?? '';
    collected[name] = [...(collected[name] ?? []), headers[index + 1] ?? ''];
  }
  return collected;
}

export function pairsOf(headers: RawHeaders): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < headers.length; index += 2)
    pairs.push([headers[index] ?? '', headers[index + 1] ?? '']);
  return pairs;
}

function singles(headers: RawHeaders): Record<string, string> {
  const all = Object.entries(collect(headers));
  return Object.fromEntries(all.map(([name, values]) => [name, values.join(', ')]));
}
