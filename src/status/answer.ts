/** What the status server answers, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function jsonAnswer(value: unknown): Answer {
  return createAnswer(200, { type: 'application/json', body: `${JSON.stringify(value, undefined, 2)}\n` });
}

export function textAnswer(status: number, body: string): Answer {
  return createAnswer(status, { type: 'text/plain', body });
}

/** Made by whoever answers, never kept by anybody between. */
export function createAnswer(
  status: number,
  { type, body }: { readonly type: string; readonly body: string },
): Answer {
  const headers = { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' };
  return { status, headers, body: Buffer.from(body) };
}
