/** The control plane under test, as test/support/kube/kube.sh has put it into its folder. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const SCRIPT = path.join(ROOT, 'test/support/kube/kube.sh');
const execute = promisify(execFile);

export interface ControlPlane {
  readonly folder: string;
  /** Its API server's URL. */
  readonly server: string;
  /** The administrator's. */
  readonly kubeconfig: string;
  /** PEM. */
  readonly ca: string;
  readonly adminCert: string;
  readonly adminKey: string;
  /** The first three numbers of its pods' addresses. */
  readonly podNetwork: string;
}

/** The one that scripts/test.mjs has started. */
export function findControlPlane(): ControlPlane {
  const folder = process.env['LAZY_PROXY_TEST_KUBE'];
  if (!folder) throw new Error('no control plane to test against: use `npm run test:kubernetes -- <file>`');
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8');
  const config = parse(read('admin.kubeconfig')) as {
    readonly clusters: readonly { readonly cluster: { readonly server: string } }[];
  };
  return {
    folder,
    server: config.clusters[0]?.cluster.server ?? '',
    kubeconfig: path.join(folder, 'admin.kubeconfig'),
    ca: read('ca.crt'),
    adminCert: read('admin.crt'),
    adminKey: read('admin.key'),
    podNetwork: read('network').trim(),
  };
}

/** Runs kubectl as the administrator; resolves with what it printed. */
export async function kubectl(
  { folder, kubeconfig }: ControlPlane,
  args: readonly string[],
): Promise<string> {
  const program = path.join(folder, 'bin/kubectl');
  const { stdout } = await execute(program, ['--kubeconfig', kubeconfig, ...args], { cwd: ROOT });
  return stdout;
}

/** Ends the API server alone, as a crash does. */
export function killApiServer(plane: ControlPlane): Promise<void> {
  return killProgram(plane, 'kube-apiserver');
}

/** Ends one program of the control plane, as a crash does. Success where it doesn't run. */
export async function killProgram({ folder }: ControlPlane, program: string): Promise<void> {
  await execute(SCRIPT, ['kill', folder, program]);
}

/** Starts one of its programs again, other than the API server. */
export async function launchProgram({ folder }: ControlPlane, program: string): Promise<void> {
  await execute(SCRIPT, ['launch', folder, program]);
}

/**
 * Starts it again and resolves once it is ready, which takes some seconds.
 * @param options.flags for example `--min-request-timeout 3`, which ends every watch after 3 to 6 s.
 */
export async function launchApiServer(
  { folder }: ControlPlane,
  options: { readonly flags?: string } = {},
): Promise<void> {
  const env = { ...process.env, KUBE_FLAGS: options.flags ?? '' };
  await execute(SCRIPT, ['launch', folder, 'kube-apiserver'], { env });
}
