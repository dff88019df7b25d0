/**
 * The files of the dashboard, as the build has compressed them (`scripts/bundle/dashboard.mjs`). Each is read when it is asked for:
 * nothing of it stays in memory.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { type Answer, textAnswer } from './answer.ts';

const FOLDER = new URL('../dashboard/', import.meta.url);

const FILES: ReadonlyMap<string, { readonly file: string; readonly type: string }> = new Map([
  ['/', { file: 'index.html', type: 'text/html' }],
  ['/dashboard.js', { file: 'dashboard.js', type: 'text/javascript' }],
  ['/dashboard.css', { file: 'dashboard.css', type: 'text/css' }],
  ['/dashboard.svg', { file: 'dashboard.svg', type: 'image/svg+xml' }],
]);

/** The page asks nobody but the proxy, runs nothing but its own file, and stands in no frame. */
const SAFE_HEADERS = {
  'content-security-policy': [
    ...[
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
    ],
    ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** What answers at a path of the dashboard; undefined where that is none. The answer depends on `key` alone. */
export function findDashboardFile(
  path: string,
  { headers, folder = FOLDER }: { readonly headers: IncomingHttpHeaders; readonly folder?: URL },
): { readonly key: string; readonly make: () => Answer } | undefined {
  const found = FILES.get(path);
  if (found === undefined) return undefined;
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0+)?\s*(?:,|$))/i.test(headers['accept-encoding'] ?? '');
  const known = headers['if-none-match'];
  const make = () => answerFile(new URL(`${found.file}.gz`, folder), { type: found.type, takesGzip, known });
  return { key: `${path} ${takesGzip} ${known ?? ''}`, make };
}

function answerFile(
  file: URL,
  {
    type,
    takesGzip,
    known,
  }: { readonly type: string; readonly takesGzip: boolean; readonly known: string | undefined },
): Answer {
  const compressed = readCompressed(file);
  if (compressed === undefined)
    return textAnswer(
      404,
      'the dashboard is not in this build; see /status, /problems, /health, /ready and /api',
    );
  const etag = `"${createHash('sha256').update(compressed).digest('base64url').slice(0, 22)}${takesGzip ? '-gz' : ''}"`;
  const headers = { ...SAFE_HEADERS, etag, 'cache-control': 'no-cache', vary: 'accept-encoding' };
  if (known?.split(/\s*,\s*/).includes(etag)) return { status: 304, headers, body: Buffer.alloc(0) };
  return {
    status: 200,
    headers: {
      ...headers,
      'content-type': `${type}; charset=utf-8`,
      ...(takesGzip && { 'content-encoding': 'gzip' }),
    },
    body: takesGzip ? compressed : gunzipSync(compressed),
  };
}

function readCompressed(file: URL): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
