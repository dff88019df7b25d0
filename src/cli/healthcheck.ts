import { parseEnvironment } from '../config/environment.ts';
import type { FileConfig } from '../config/file.ts';
import { readSettings } from '../config/read/read-settings.ts';
import { resolveSettings } from '../config/resolve-settings.ts';
import { isMapping } from '../config/values/parsed.ts';
import { configCandidates, describeConfigPath } from '../sources/config-candidates.ts';
import { readYaml } from '../config/yaml/read-yaml.ts';
import type { Settings } from '../model/settings.ts';
import { describeReadError, readConfigFile } from '../sources/read-config-file.ts';
import type { Clock } from '../system/clock.ts';
import { EXIT_OK, EXIT_PROBLEMS } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import { requestUrl } from '../system/net/http-client.ts';
import type { ProgramIo } from '../system/program-io.ts';

const TIMEOUT_MS = 2_000;
/** Longer than "ok", so that a message can show another answer. */
const MAX_BODY_BYTES = 1_024;
const MAX_SHOWN_CHARACTERS = 100;

export interface HealthcheckOptions {
  readonly config: string | undefined;
  readonly statusPort: number | undefined;
}

/**
 * Asks the status server of a proxy on this machine whether it is well; where that listens is found out as `run` does.
 * Exit status: 0 when it is, or when it has no status server; 1 when it is not.
 */
export async function healthcheck(
  options: HealthcheckOptions,
  { env, cwd, stdout, stderr, clock }: ProgramIo & { readonly clock: Clock },
): Promise<number> {
  const { environment } = parseEnvironment(env);
  const candidates = configCandidates({ flag: options.config, env, cwd });
  const file = await readFileSettings(candidates, { clock, cwd, stderr });
  const flags = { statusPort: options.statusPort };
  const { status } = resolveSettings({ file, environment, flags }).settings;
  if (status === 'off') {
    stdout('the status server is off, so there is nothing to check');
    return EXIT_OK;
  }
  const url = `http://${reachableHost(status.address)}:${status.port}/health`;
  try {
    await askHealth(url, clock);
    stdout('ok');
    return EXIT_OK;
  } catch (error) {
    stderr(`lazy-proxy: ${url} does not say "ok": ${messageOf(error)}`);
    return EXIT_PROBLEMS;
  }
}

/**
 * What the file says about settings, and no more: a check every few seconds must not cost a whole validation. A file
 * that can't be read says nothing, and the check goes on: the proxy itself may still run on what it said before.
 */
async function readFileSettings(
  { named, candidates }: ReturnType<typeof configCandidates>,
  { clock, cwd, stderr }: { readonly clock: Clock } & Pick<ProgramIo, 'cwd' | 'stderr'>,
): Promise<FileConfig | undefined> {
  for (const path of named === undefined ? candidates : [named.path]) {
    const options = { named: named !== undefined, clock };
    const text = await readConfigFile(path, options).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT')
        stderr(`lazy-proxy: ${describeConfigPath(path, cwd)} ${describeReadError(error)}`);
      return undefined;
    });
    if (text === undefined) continue;
    const { root, locate } = readYaml({ text, file: path });
    if (!isMapping(root)) return undefined;
    return { file: path, services: [], defaults: {}, settings: readSettings(root, locate).settings };
  }
  return undefined;
}

/** The address to connect to: a server that listens on any address is asked on the loopback, since not every system connects to "any". */
function reachableHost(address: Exclude<Settings['status'], 'off'>['address']): string {
  if (address === '' || address === '0.0.0.0') return '127.0.0.1';
  if (address === '::') return '[::1]';
  return address.includes(':') ? `[${address}]` : address;
}

/** @throws {Error} with what was answered instead. */
async function askHealth(url: string, clock: Clock): Promise<void> {
  const answer = await requestUrl(url, { clock, deadlineMs: TIMEOUT_MS, maxBodyBytes: MAX_BODY_BYTES });
  const body = answer.body.toString().trim();
  if (answer.status !== 200 || body !== 'ok') {
    throw new Error(`it answers ${answer.status}: ${body.slice(0, MAX_SHOWN_CHARACTERS)}`);
  }
}
