import path from 'node:path';
import { runToEnd, startProgram } from '../bed/program.mjs';

const BUILD_TIMEOUT_MS = 300_000;

/** Compiles one of our programs in Go into `folder`. @param {{ name: 'go-relay' | 'go-web' }} options */
export async function buildInGo({ name, go, folder, children }) {
  const binary = path.join(folder, name);
  const source = path.join(import.meta.dirname, '..', name, 'main.go');
  const env = { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' };
  await runToEnd(go, ['build', '-o', binary, source], { timeoutMs: BUILD_TIMEOUT_MS, env, children });
  return binary;
}

/** Two io.Copy for each connection. */
export function createGoRelay(binary) {
  return { ...{ id: 'go', label: 'Go relay', protocols: ['tcp'] }, start: startInGo(binary) };
}

/** Go's httputil.ReverseProxy. */
export function createGoWeb(binary) {
  return { ...{ id: 'go-http', label: 'Go ReverseProxy', protocols: ['http'] }, start: startInGo(binary) };
}

function startInGo(binary) {
  return (routes, { folder }) => {
    const pairs = routes.map(({ listen, target, address }) => `127.0.0.1:${listen}=${address}:${target}`);
    return startProgram([binary, ...pairs], { logFile: path.join(folder, 'log') });
  };
}
