import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { onTestFinished } from 'vitest';
import { createFileParser } from '../../src/config/file.ts';
import type { Problem } from '../../src/model/problem.ts';
import { LazyProxy } from '../../src/proxy/lazy-proxy.ts';
import type { ConfigFile } from '../../src/sources/config-file.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { aFile, KEEPS_NOTHING } from './builders.ts';
import { freePort } from './free-ports.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body, where it is JSON. */
  readonly json: unknown;
}

export type AskApi = (
  path: string,
  options?: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> },
) => Promise<ApiAnswer>;

/** Asks an HTTP server on the loopback; the path goes out as it is. */
export function askingAt(port: number): AskApi {
  return async (path, { method = 'GET', headers = {} } = {}) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    sent.end();
    const [response] = await once(sent, 'response');
    let body = '';
    for await (const chunk of response) {
      body += chunk;
      // It has no end.
      if (response.headers['content-type']?.startsWith('text/event-stream')) break;
    }
    const isJson = /json/.test(response.headers['content-type'] ?? '') && body !== '';
    return {
      status: response.statusCode,
      headers: response.headers,
      body,
      json: isJson ? JSON.parse(body) : undefined,
    };
  };
}

/** A proxy in this process with the services of a file's text, and how to ask its API; it ends with the test. */
export async function startApiProxy(
  services: string,
  {
    status = '',
    docker = '',
    labels = false,
    settings = '',
  }: {
    /** Further settings of the status server: `, token: x`; and of the engine. */
    readonly status?: string;
    readonly docker?: string;
    /** Whether labels count. */
    readonly labels?: boolean;
    /** Further lines at the top of the file. */
    readonly settings?: string;
  } = {},
): Promise<{
  readonly ask: AskApi;
  readonly port: number;
  readonly reload: (services: string) => void;
  /** Begins its end, which lasts until the test's. */
  readonly drain: () => void;
}> {
  const port = await freePort();
  const textOf = (content: string) =>
    `status: { listen: "127.0.0.1:${port}"${status} }\ndocker: { labels: ${labels}${docker} }\nrelay: stream\n${settings}services:\n${content}`;
  const file = {
    config: aFile(textOf(services)),
    problems: [] as readonly Problem[],
    refusedText: undefined as string | undefined,
    refusedReloads: 0,
    isMended: false,
    shownPath: 'lazy-proxy.yaml',
    close: async () => {},
  };
  const proxy = await LazyProxy.create({
    file: file as unknown as ConfigFile,
    environment: KEEPS_NOTHING,
    logger: silentLogger,
    flags: {},
    env: process.env,
    version: '1.2.3',
    clock: systemClock,
  });
  await proxy.start();
  onTestFinished(async () => {
    proxy.destroy();
    await proxy.close();
  });
  const reload = (content: string) => {
    const text = textOf(content);
    const { config, problems } = createFileParser()({ text, file: 'lazy-proxy.yaml' });
    file.isMended = file.refusedText !== undefined && config !== undefined;
    file.config = config ?? file.config;
    file.problems = problems;
    file.refusedText = config === undefined ? text : undefined;
    if (config === undefined) file.refusedReloads++;
    proxy.fileChanged();
  };
  return { ask: askingAt(port), port, reload, drain: () => void proxy.drain() };
}
