/** Which programs this machine has; nothing is installed. */
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { hasStaticBusybox } from '../../support/images/root-files.mjs';

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Where Go's own archives are unpacked; not every shell has it in its path. */
const GO_FOLDER = '/usr/local/go/bin';
const STREAM_MODULES = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/etc/nginx/modules'];
/** Debian package of each tool. */
const PACKAGES = {
  ...{
    nginx: 'nginx',
    streamModule: 'libnginx-mod-stream',
    haproxy: 'haproxy',
    iperf3: 'iperf3',
    wrk: 'wrk',
    caddy: 'caddy',
    curl: 'curl',
  },
  ...{ dockerd: 'docker.io', busybox: 'busybox-static', go: 'golang-go' },
};

/**
 * The path of each tool; undefined where it is missing.
 * @returns {Promise<Readonly<Record<keyof typeof PACKAGES, string | undefined>>>}
 */
export async function findTools() {
  return {
    nginx: findProgram('nginx'),
    streamModule: STREAM_MODULES.map((folder) => path.join(folder, 'ngx_stream_module.so')).find((file) =>
      existsSync(file),
    ),
    haproxy: findProgram('haproxy'),
    iperf3: findProgram('iperf3'),
    wrk: findProgram('wrk'),
    caddy: findProgram('caddy'),
    curl: findProgram('curl'),
    dockerd: findProgram('dockerd'),
    busybox: (await hasStaticBusybox()) ? '/bin/busybox' : undefined,
    go: findProgram('go', [GO_FOLDER]),
  };
}

/** One line about what is missing; undefined where nothing is. */
export function describeMissing(tools) {
  const names = Object.keys(PACKAGES).filter((name) => tools[name] === undefined);
  if (names.length === 0) return undefined;
  return `missing, and what needs it is left out: ${names.map((name) => PACKAGES[name]).join(', ')} (Debian packages)`;
}

function findProgram(name, more = []) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...FOLDERS, ...more];
  return folders.map((folder) => path.join(folder, name)).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
