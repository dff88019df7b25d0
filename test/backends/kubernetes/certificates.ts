import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A certificate and its key, as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** What a cluster has: an authority, an API server at 127.0.0.1, and a user `anna`. */
export interface Certificates {
  readonly authority: KeyPair;
  readonly server: KeyPair;
  readonly user: KeyPair;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

/** Made anew by openssl. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'certificates-'));
  const make = async (name: string, args: readonly string[]): Promise<KeyPair> => {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`];
    await promisify(execFile)('openssl', ['req', '-x509', ...NEW_KEY, ...files, ...args], { cwd: folder });
    const [cert, key] = await Promise.all(
      ['crt', 'key'].map((suffix) => readFile(join(folder, `${name}.${suffix}`), 'utf8')),
    );
    return { cert: cert ?? '', key: key ?? '' };
  };
  try {
    await writeFile(join(folder, 'none.cnf'), '[req]\ndistinguished_name=dn\n[dn]\n');
    const config = ['-config', 'none.cnf'];
    const authority = await make('ca', [
      ...config,
      '-subj',
      '/CN=ca',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
    ]);
    const signed = [...config, '-CA', 'ca.crt', '-CAkey', 'ca.key'];
    const server = await make('server', [
      ...signed,
      '-subj',
      '/CN=api',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ]);
    const user = await make('user', [...signed, '-subj', '/O=admins/CN=anna']);
    return { authority, server, user };
  } finally {
    await rm(folder, { recursive: true });
  }
}
