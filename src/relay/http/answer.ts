/** Answers that the proxy itself gives. */
import { STATUS_CODES, type ServerResponse } from 'node:http';

export interface OwnAnswer {
  readonly status: number;
  /** One sentence or more, for whoever sees the answer. */
  readonly text: string;
  /** When the client may try again, s. */
  readonly retryAfterSeconds?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Closes the connection afterwards. */
  readonly closes?: boolean;
}

/** Sends one as plain text; does nothing where an answer was begun. */
export function sendAnswer(response: ServerResponse, answer: OwnAnswer): void {
  const title = `${answer.status} ${STATUS_CODES[answer.status] ?? ''}`.trim();
  sendBody(response, { ...answer, body: `${title}\n\n${answer.text}\n`, type: 'text/plain; charset=utf-8' });
}

/** As `sendAnswer`, with a body of any type. */
export function sendBody(
  response: ServerResponse,
  answer: Omit<OwnAnswer, 'text'> & { readonly body: string; readonly type: string },
): void {
  if (response.headersSent || response.destroyed) return;
  const { status, body, type, retryAfterSeconds, headers, closes } = answer;
  if (closes) response.shouldKeepAlive = false;
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(retryAfterSeconds !== undefined && { 'Retry-After': String(retryAfterSeconds) }),
    ...headers,
  });
  response.end(body);
}
