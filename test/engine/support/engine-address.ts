/** Where the engine under test is; scripts/test.mjs finds or starts it. */
export function engineHost(): string {
  const host = process.env['LAZY_PROXY_TEST_DOCKER_HOST'];
  if (!host) throw new Error('no engine to test against: use `npm run test:engine -- <file>`');
  return host;
}

export type EngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

/** What node:http and dockerode need to reach `host`, given as in DOCKER_HOST. */
export function engineAddress(host: string): EngineAddress {
  const url = new URL(host);
  if (url.protocol === 'unix:') return { socketPath: decodeURIComponent(url.pathname) };
  return { host: url.hostname, port: Number(url.port || 2375) };
}

/** Labels by which everything this run made is found and removed, also after a crash. */
export function runLabels(): Record<string, string> {
  return { 'lazy-proxy-test.run': process.env['LAZY_PROXY_TEST_RUN'] ?? 'none' };
}
