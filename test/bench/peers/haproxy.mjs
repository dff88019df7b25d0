import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startProgram } from '../bed/program.mjs';

/** Descriptors: two for each pipe, and some more. */
const PIPES = 128;
const RESERVED = 400;

/** HAProxy with one thread, and splice(2) where it thinks that it pays. */
export function createHaproxy({ haproxy }) {
  return {
    ...{ id: 'haproxy', label: 'HAProxy', protocols: ['tcp'] },
    async start(routes, { folder, connections }) {
      const file = path.join(folder, 'haproxy.cfg');
      await writeFile(file, createConfig(routes, connections));
      return await startProgram([haproxy, '-db', '-f', file], { logFile: path.join(folder, 'log') });
    },
  };
}

/**
 * Its connections are pairs, and it wants descriptors for all of them, for pipes and for listeners before it starts;
 * without a word it would ask for a pipe for every fourth.
 */
function createConfig(routes, connections) {
  const servers = routes.map(
    ({ listen, target, address }) => `
listen route-${listen}
  bind 127.0.0.1:${listen} backlog 4096
  server upstream ${address}:${target}`,
  );
  return `
global
  maxconn ${Math.floor((connections - RESERVED) / 2)}
  maxpipes ${PIPES}
  nbthread 1
defaults
  mode tcp
  option splice-auto
  timeout connect 10s
  timeout client 1h
  timeout server 1h
${servers.join('\n')}
`;
}
