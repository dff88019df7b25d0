/** The administrator's calls to the API server, without the code under test. */
import https from 'node:https';
import type { ControlPlane } from './control-plane.ts';

/** An object of the API; tests look into it as they need. */
// biome-ignore lint/suspicious/noExplicitAny: every kind has other fields, and the API server checks them
export type KubeObject = any;

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject;
}

/** The API server said no. */
export class ApiRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Whoever makes it closes it. */
export class AdminClient {
  readonly #server: string;
  readonly #agent: https.Agent;

  constructor({ server, ca, adminCert, adminKey }: ControlPlane) {
    this.#server = server;
    this.#agent = new https.Agent({ keepAlive: true, ca, cert: adminCert, key: adminKey });
  }

  get(path: string): Promise<KubeObject> {
    return this.#request('GET', path);
  }

  create(path: string, body: KubeObject): Promise<KubeObject> {
    return this.#request('POST', path, { body, contentType: 'application/json' });
  }

  /** A merge patch. */
  patch(path: string, body: KubeObject): Promise<KubeObject> {
    return this.#request('PATCH', path, { body, contentType: 'application/merge-patch+json' });
  }

  /** Success where it is gone already. */
  async delete(path: string): Promise<void> {
    await this.#request('DELETE', path).catch((error) => {
      if (!(error instanceof ApiRefusal) || error.status !== 404) throw error;
    });
  }

  /** What is there, as ADDED, and then every change; it ends when the server ends it, or breaks. */
  async *watch(path: string, options: { readonly signal: AbortSignal }): AsyncGenerator<WatchEvent> {
    const separator = path.includes('?') ? '&' : '?';
    const response = await this.#send('GET', `${path}${separator}watch=true`, options);
    if (response.statusCode !== 200) throw await readRefusal(response);
    let partial = '';
    for await (const text of response.setEncoding('utf8')) {
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as WatchEvent;
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #request(
    method: string,
    path: string,
    content: { readonly body?: KubeObject; readonly contentType?: string } = {},
  ): Promise<KubeObject> {
    const response = await this.#send(method, path, content);
    if ((response.statusCode ?? 0) >= 300) throw await readRefusal(response);
    return JSON.parse(await readText(response));
  }

  #send(
    method: string,
    path: string,
    options: { readonly body?: KubeObject; readonly contentType?: string; readonly signal?: AbortSignal },
  ): Promise<import('node:http').IncomingMessage> {
    const { body, contentType, signal } = options;
    return new Promise((resolve, reject) => {
      const headers = contentType === undefined ? {} : { 'content-type': contentType };
      const request = https.request(this.#server + path, {
        ...{ method, headers, agent: this.#agent },
        ...(signal && { signal }),
      });
      request.once('response', resolve).once('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

async function readRefusal(response: import('node:http').IncomingMessage): Promise<ApiRefusal> {
  return new ApiRefusal(response.statusCode ?? 0, await readText(response));
}

async function readText(response: import('node:http').IncomingMessage): Promise<string> {
  return (await response.setEncoding('utf8').toArray()).join('');
}
