import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startProgram } from '../bed/program.mjs';

/**
 * The program under test, which finds its upstream through the engine.
 * @param {{ id: string, label: string, program: string, host: string, env?: Readonly<Record<string, string>> }} options
 * `host`: the engine, as in DOCKER_HOST.
 */
export function createLazyProxy({ id, label, program, host, env = {} }) {
  return {
    ...{ id, label, protocols: ['tcp', 'udp', 'http'] },
    async start(routes, { folder, statusPort }) {
      const config = path.join(folder, 'lazy-proxy.json');
      await writeFile(config, JSON.stringify(createConfig(routes, { host, statusPort }), undefined, 1));
      return await startProgram([process.execPath, program, 'run', '--config', config], {
        ...{ logFile: path.join(folder, 'log'), cwd: folder },
        // Nothing of the developer's own settings.
        env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
      });
    },
  };
}

/** The host that clients ask for over HTTP. */
export const WEB_HOST = 'bench';

/** JSON is YAML. */
function createConfig(routes, { host, statusPort }) {
  const services = routes.map(({ listen, target, protocols, container }, index) => {
    const ports = [`127.0.0.1:${listen}:${target}`];
    const fields = {
      ...(protocols.includes('tcp') && { ports }),
      ...(protocols.includes('udp') && { udp_ports: ports, udp_readiness: 'open' }),
      // With all that is looked at for each request, a login apart.
      ...(protocols.includes('http') && {
        ...{ hosts: [WEB_HOST], http_port: target, wake_paths: ['/', '!/metrics'] },
        ...{ allow_list: ['127.0.0.0/8'], block_list: ['127.0.0.99'], max_connections: 10_000 },
      }),
    };
    return [`service-${index}`, { container, idle_timeout: '1h', ...fields }];
  });
  const doors = routes.filter(({ protocols }) => protocols.includes('http'));
  return {
    ...(doors.length > 0 && { http: { listen: doors.map(({ listen }) => `127.0.0.1:${listen}`) } }),
    status: statusPort === undefined ? 'off' : { listen: `127.0.0.1:${statusPort}` },
    docker: host.startsWith('unix://') ? { socket: host.slice('unix://'.length) } : { socket: host },
    services: Object.fromEntries(services),
  };
}
