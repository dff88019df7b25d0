import { freePorts } from '../support/free-ports.ts';

/** Two free ports: where a service listens, and where its server does. */
export async function twoPorts(): Promise<readonly [number, number]> {
  const [listen = 0, target = 0] = await freePorts(2);
  return [listen, target];
}

/** A service, in the file's words, whose server listens after `delayMs`. */
export function aServer([listen, target]: readonly [number, number], delayMs = 0): string {
  return `command: [node, server.mjs, "${target}", "${delayMs}"], cwd: ., ports: ["127.0.0.1:${listen}:${target}"]`;
}

/** A service that prints why it can't start, and ends. */
export function aBrokenServer([listen, target]: readonly [number, number]): string {
  return `command: [node, broken.mjs], cwd: ., ports: ["127.0.0.1:${listen}:${target}"], start_timeout: 3s`;
}

/** One request on a connection of its own. */
export async function get(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } });
  await response.text();
}
