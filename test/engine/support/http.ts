import http from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** From the call to the first byte of the answer. */
  readonly firstByteMs: number;
  readonly totalMs: number;
  /** Milliseconds since the epoch, to be compared with what an app or the engine tells. */
  readonly firstByteAt: number;
}

/**
 * One GET over a connection of its own.
 * @param target a URL, or a port of this machine.
 * @param options.localAddress the client's own address, for example 127.0.0.2. `headers`: to be sent, `host` for example.
 * @throws {Error} when the connection fails or `timeoutMs` (default 30 s) passes: a bound on what hangs.
 */
export function get(
  target: string | number,
  options: {
    readonly timeoutMs?: number;
    readonly localAddress?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<HttpAnswer> {
  const { timeoutMs = 30_000, localAddress, headers = {} } = options;
  const url = typeof target === 'number' ? `http://127.0.0.1:${target}/` : target;
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.get(
      url,
      { agent: false, headers, ...(localAddress && { localAddress }) },
      (response) => {
        const firstByteMs = performance.now() - startMs;
        const firstByteAt = Date.now();
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const body = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            body,
            firstByteMs,
            totalMs: performance.now() - startMs,
            firstByteAt,
          });
        });
      },
    );
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    request.once('error', (error) => {
      // Its stack leads to no test.
      error.message += ` (GET ${url})`;
      reject(error);
    });
    request.once('close', () => clearTimeout(timer));
  });
}

/** The JSON body of one GET. */
export async function getJson<T>(
  target: string | number,
  options: { readonly timeoutMs?: number } = {},
): Promise<T> {
  return JSON.parse((await get(target, options)).body) as T;
}
