/** The root file system of the upstream: busybox, iperf3, and an nginx that answers `ok`. */
import { listBusyboxEntries, listProgramEntries } from '../../support/images/root-files.mjs';

/** The bodies of `/small` and `/big` of the web server. */
export const [SMALL_BYTES, BIG_BYTES] = [35, 1_000_000_000];
/** Where the servers listen in the container. */
export const UPSTREAM_PORTS = { iperf: 5201, http: 8000, page: 8080 };
/** The web server listens there as well. */
export const HELD_PORTS = Array.from({ length: 8 }, (_, index) => 8_001 + index);

export async function listUpstreamEntries({ iperf3, nginx }) {
  const programs = [iperf3 && ['/bin/iperf3', iperf3], nginx && ['/bin/nginx', nginx]].filter(Boolean);
  const entries = await Promise.all(programs.map(([path, program]) => listProgramEntries(path, program)));
  const files = new Map(
    [...(await listBusyboxEntries()), ...entries.flat()].map((entry) => [entry.path, entry]),
  );
  const commands = [
    iperf3 && `iperf3 -s -p ${UPSTREAM_PORTS.iperf} >/dev/null &`,
    nginx && `truncate -s ${BIG_BYTES} /big`,
    nginx && 'nginx -e stderr -c /etc/nginx.conf',
    'while :; do sleep 3600; done',
  ];
  return [
    ...files.values(),
    textFile('/etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    textFile('/etc/nginx.conf', NGINX_CONFIG),
    textFile('/index.html', 'ok\n'),
    textFile('/start.sh', commands.filter(Boolean).join('\n')),
  ];
}

const LISTEN = [UPSTREAM_PORTS.http, ...HELD_PORTS].map((port) => `listen ${port} backlog=4096;`).join(' ');

/** Idle connections are held, so no timeout may end one. */
const NGINX_CONFIG = `
user root root;
worker_processes 1;
pid /tmp/nginx.pid;
events { worker_connections 32768; }
http {
  access_log off;
  sendfile on;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_header_timeout 1h;
  server {
    ${LISTEN}
    location / { return 200 "ok\\n"; }
    location = /small { return 200 "${'x'.repeat(SMALL_BYTES)}"; }
    location = /big { root /; }
  }
}
`;

function textFile(path, text) {
  return { kind: 'file', path, content: Buffer.from(text), mode: 0o644 };
}
