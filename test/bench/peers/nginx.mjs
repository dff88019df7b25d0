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

/** nginx as an HTTP proxy, with one worker. */
export function createNginxWeb({ nginx }) {
  return {
    ...{ id: 'nginx-http', label: 'nginx', protocols: ['http'] },
    async start(routes, { folder, connections }) {
      const file = path.join(folder, 'nginx.conf');
      await writeFile(file, createWebConfig(routes, { folder, connections }));
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

/** A body is never put into a file on its way. */
function createWebConfig(routes, { folder, connections }) {
  const servers = routes.map(
    ({ listen, target, address }) => `
  upstream route-${listen} { server ${address}:${target}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${listen} backlog=4096;
    location / {
      proxy_pass http://route-${listen};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
    }
  }`,
  );
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections ${connections}; }
http {
  access_log off;
  error_log stderr crit;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  proxy_max_temp_file_size 0;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  ${servers.join('\n')}
}
`;
}
