import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startProgram } from '../bed/program.mjs';

/** As much as lazy-proxy asks for. */
const UDP_BUFFER = '4m';

/** nginx's stream module with one worker. */
export function createNginx({ nginx, streamModule }) {
  return {
    ...{ id: 'nginx', label: 'nginx stream', protocols: ['tcp', 'udp'] },
    async start(routes, { folder, connections }) {
      const file = path.join(folder, 'nginx.conf');
      await writeFile(file, createConfig(routes, { folder, connections, streamModule }));
      return await startProgram([nginx, '-e', 'stderr', '-c', file], { logFile: path.join(folder, 'log') });
    },
  };
}

function createConfig(routes, { folder, connections, streamModule }) {
  const servers = routes.flatMap(({ listen, target, protocols, address }) =>
    protocols.map((protocol) =>
      protocol === 'tcp'
        ? `server { listen 127.0.0.1:${listen} backlog=4096; proxy_pass ${address}:${target}; }`
        : `server { listen 127.0.0.1:${listen} udp rcvbuf=${UDP_BUFFER}; proxy_pass ${address}:${target}; }`,
    ),
  );
  return `
load_module ${streamModule};
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections ${connections}; }
stream {
  error_log stderr crit;
  proxy_timeout 1h;
  ${servers.join('\n  ')}
}
`;
}
