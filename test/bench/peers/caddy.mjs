import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startProgram } from '../bed/program.mjs';

/** Caddy's `reverse_proxy`, without TLS. */
export function createCaddy({ caddy }) {
  return {
    ...{ id: 'caddy', label: 'Caddy', protocols: ['http'] },
    async start(routes, { folder }) {
      const file = path.join(folder, 'Caddyfile');
      await writeFile(file, createConfig(routes));
      return await startProgram([caddy, 'run', '--adapter', 'caddyfile', '--config', file], {
        ...{ logFile: path.join(folder, 'log'), cwd: folder },
        env: { PATH: process.env.PATH, HOME: folder },
      });
    },
  };
}

function createConfig(routes) {
  const sites = routes.map(
    ({ listen, target, address }) => `
http://:${listen} {
  bind 127.0.0.1
  reverse_proxy ${address}:${target} {
    transport http {
      keepalive_idle_conns_per_host 256
    }
  }
}`,
  );
  return `{
  admin off
  auto_https off
}
${sites.join('\n')}
`;
}
