import path from 'node:path';
import { runToEnd, startProgram } from '../bed/program.mjs';

const BUILD_TIMEOUT_MS = 300_000;

/** Compiles the relay into `folder`. */
export async function buildGoRelay({ go, folder, children }) {
  const binary = path.join(folder, 'go-relay');
  const source = path.join(import.meta.dirname, '../go-relay/main.go');
  const env = { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '0' };
  await runToEnd(go, ['build', '-o', binary, source], { timeoutMs: BUILD_TIMEOUT_MS, env, children });
  return binary;
}

/** Two io.Copy for each connection. */
export function createGoRelay(binary) {
  return {
    ...{ id: 'go', label: 'Go relay', protocols: ['tcp'] },
    start(routes, { folder }) {
      const pairs = routes.map(({ listen, target, address }) => `127.0.0.1:${listen}=${address}:${target}`);
      return startProgram([binary, ...pairs], { logFile: path.join(folder, 'log') });
    },
  };
}
