/**
 * Images for what examples serve, made of this machine's own programs: with the same commands, variables, folders and users
 * as the published ones, as far as the examples use them.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { importOnce } from '../../support/images/import-image.mjs';
import { listBareEntries, listBusyboxEntries, listProgramEntries } from '../../support/images/root-files.mjs';
import type { TarEntry } from '../../support/images/tar.mjs';
import { engineHost } from './engine-address.ts';

const NGINX = '/usr/sbin/nginx';
/** Debian's server is the same program as this checker, under another name; its own package would start a service. */
const REDIS = '/usr/bin/redis-check-rdb';
const DNSMASQ = '/usr/sbin/dnsmasq';
const POSTGRES_ROOT = '/usr/lib/postgresql';
/** The user of the published image. */
const POSTGRES_ID = 999;

/** @param server what stands in the only `server`. */
function nginxConfig(server: string): string {
  return `user root;
error_log stderr;
pid /tmp/nginx.pid;
events {}
http {
  access_log off;
  server { ${server} }
}
`;
}

const POSTGRES_ENTRYPOINT = `#!/bin/sh
set -e
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" > /tmp/password
  initdb --pgdata="$PGDATA" --username=postgres --pwfile=/tmp/password --auth=scram-sha-256 --no-locale --no-sync
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/tmp
`;

/** The folder of the newest PostgreSQL server with its programs; undefined where there is none. */
function findPostgres(): string | undefined {
  if (!existsSync(POSTGRES_ROOT)) return undefined;
  const versions = readdirSync(POSTGRES_ROOT).sort((a, b) => Number(b) - Number(a));
  const folders = versions.map((version) => path.join(POSTGRES_ROOT, version, 'bin'));
  return folders.find((folder) => existsSync(path.join(folder, 'initdb')));
}

/** PostgreSQL's own client, of the same version as the server. */
export function psqlProgram(): string {
  return path.join(findPostgres() ?? '', 'psql');
}

/** Which programs are missing for the stand-ins; undefined = none. */
export function whyNoStandIns(): string | undefined {
  const missing = [
    ...[NGINX, REDIS, DNSMASQ].filter((program) => !existsSync(program)),
    ...(findPostgres() === undefined ? [`${POSTGRES_ROOT}/*/bin/initdb`] : []),
  ];
  if (missing.length === 0) return undefined;
  const packages = 'nginx, redis-tools, dnsmasq-base, postgresql';
  return `there is no ${missing.join(', ')} (Debian: ${packages})`;
}

/** What stands in for images of a name, whatever their version. */
export const STAND_INS: Readonly<Record<string, () => Promise<string>>> = {
  nginx: () => nginxImage('listen 80; root /usr/share/nginx/html;'),
  redis: redisImage,
  postgres: postgresImage,
  'pihole/pihole': dnsImage,
};

/** nginx of this machine. @param server what stands in the only `server` of its configuration. */
export async function nginxImage(server: string): Promise<string> {
  const config = nginxConfig(server);
  return await makeImage('nginx', {
    programs: [NGINX],
    settings: [config],
    changes: ['CMD ["nginx", "-g", "daemon off;"]'],
    listEntries: async () => [
      ...(await listBareEntries('/bin/nginx', NGINX)),
      textFile('/etc/group', 'root:x:0:\n'),
      textFile('/etc/nginx/nginx.conf', config),
      textFile('/usr/share/nginx/html/index.html', 'Welcome to nginx!\n'),
      // Compiled into Debian's program.
      ...['/usr/share/nginx/modules', '/var/log/nginx', '/var/lib/nginx'].map((place) => folder(place)),
    ],
  });
}

async function redisImage(): Promise<string> {
  return await makeImage('redis', {
    programs: [REDIS],
    changes: ['WORKDIR /data', 'CMD ["redis-server"]'],
    listEntries: async () => [...(await listBareEntries('/bin/redis-server', REDIS)), folder('/data')],
  });
}

/** A DNS server that knows one name: `example.com`. */
async function dnsImage(): Promise<string> {
  const flags = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-hosts', '--no-resolv', '--user=root'];
  const command = ['dnsmasq', ...flags, '--pid-file', '--host-record=example.com,192.0.2.53'];
  return await makeImage('dns', {
    programs: [DNSMASQ],
    changes: [`CMD ${JSON.stringify(command)}`],
    listEntries: () => listBareEntries('/bin/dnsmasq', DNSMASQ),
  });
}

async function postgresImage(): Promise<string> {
  const programs = findPostgres() ?? '';
  const [lib, share] = [
    path.join(programs, '../lib'),
    programs.replace('/lib/', '/share/').replace(/\/bin$/, ''),
  ];
  const data = '/var/lib/postgresql/data';
  return await makeImage('postgres', {
    programs: [path.join(programs, 'postgres')],
    settings: [POSTGRES_ENTRYPOINT],
    changes: [
      `ENV PATH=${programs}:/bin`,
      `ENV PGDATA=${data}/pgdata`,
      `USER ${POSTGRES_ID}:${POSTGRES_ID}`,
      'ENTRYPOINT ["/bin/entrypoint"]',
    ],
    listEntries: async () => [
      ...(await listBusyboxEntries()),
      ...(await listTogether(['postgres', 'initdb', 'pg_isready'].map((name) => path.join(programs, name)))),
      ...(await listTogether(['plpgsql.so', 'dict_snowball.so'].map((name) => path.join(lib, name)))),
      ...(await listTexts(share)),
      textFile('/etc/passwd', `postgres:x:${POSTGRES_ID}:${POSTGRES_ID}::/:/bin/sh\n`),
      folder(data, 0o777),
      { ...textFile('/bin/entrypoint', POSTGRES_ENTRYPOINT), mode: 0o755 },
    ],
  });
}

/** Makes an image whose name tells what is in it. */
async function makeImage(
  name: string,
  options: {
    readonly programs: readonly string[];
    /** Texts in it that the name has to depend on. */
    readonly settings?: readonly string[];
    readonly changes: readonly string[];
    readonly listEntries: () => Promise<TarEntry[]>;
  },
): Promise<string> {
  const { programs, settings = [], changes, listEntries } = options;
  const hash = createHash('sha256').update(JSON.stringify([settings, changes]));
  for (const program of programs) hash.update(await readFile(program));
  const tag = hash.digest('hex').slice(0, 12);
  return await importOnce(engineHost(), {
    name: `lazy-proxy-test/${name}:${tag}`,
    changes,
    // Libraries of several programs, and files that take the place of others; an engine refuses what comes twice.
    listEntries: async () => [...new Map((await listEntries()).map((entry) => [entry.path, entry])).values()],
  });
}

async function listTogether(files: readonly string[]): Promise<TarEntry[]> {
  return (await Promise.all(files.map((file) => listProgramEntries(file, file)))).flat();
}

/** The files below a folder, each at its place. */
async function listTexts(root: string): Promise<TarEntry[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return await Promise.all(
    files.map(async ({ parentPath, name }): Promise<TarEntry> => {
      const file = path.join(parentPath, name);
      return { kind: 'file', path: file, content: await readFile(file), mode: 0o644 };
    }),
  );
}

function folder(place: string, mode = 0o755): TarEntry {
  return { kind: 'folder', path: place, mode };
}

function textFile(place: string, text: string) {
  return { kind: 'file', path: place, content: Buffer.from(text), mode: 0o644 } as const;
}
