import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { printAuthority } from '../../src/cli/ca.ts';
import { makeAuthority } from '../../src/relay/tls/authority/make-certificate.ts';
import { systemClock } from '../../src/system/clock.ts';
import { formatAuthority } from '../../src/system/tls/authority-pem.ts';

const authority = makeAuthority({ domains: ['lan'], nowMs: systemClock.nowMs() });
let cwd: string;
let file: string;

beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), 'ca-'));
  onTestFinished(() => rm(cwd, { recursive: true }));
  file = path.join(cwd, 'kept', 'authority.pem');
  await mkdir(path.join(cwd, 'kept'));
  await writeFile(path.join(cwd, 'lazy-proxy.yaml'), JSON.stringify({ state_dir: path.join(cwd, 'kept') }));
});

/** The exit status and what is printed; the path of the folder is `DIR`. */
async function run(env: Readonly<Record<string, string>> = {}) {
  const [out, errors] = [[] as string[], [] as string[]];
  const stderr = (line: string) => errors.push(line.replaceAll(cwd, 'DIR'));
  const stdout = (line: string) => out.push(line);
  const process = { isTerminal: false, onSignal: () => () => {}, settleOutput: async () => {} };
  const io = { env, cwd, clock: systemClock, stdout, stderr, ...process };
  return { status: await printAuthority({ config: undefined }, io), out: out.join('\n'), errors };
}

test('ca prints what devices have to trust, and nothing else of the file', async () => {
  await writeFile(file, formatAuthority(authority));
  const { status, out, errors } = await run();
  expect([status, errors]).toEqual([0, []]);
  expect(out).toBe(String(authority.root).trimEnd());
  expect(new X509Certificate(out).checkPrivateKey(authority.key)).toBe(false);
});

test('ca says that there is none yet, and when there will be', async () => {
  expect(await run()).toEqual({
    status: 1,
    out: '',
    errors: [
      'lazy-proxy: there is no certificate authority in DIR/kept: a proxy that runs makes it, where http.self_signed_domains is set and something needs it',
    ],
  });
  expect(await run({ LAZY_PROXY_STATE_DIR: 'off' })).toEqual({
    status: 1,
    out: '',
    errors: ['lazy-proxy: state_dir is off, so no certificate authority is kept'],
  });
});

test.each([
  ['cut', (text: string) => text.slice(0, -40), 'it does not hold two whole certificates'],
  ['of something else', () => 'PRIVATE', 'it holds no whole private key'],
])('ca says what is wrong with a file that is %s, and shows nothing of it', async (_what, change, why) => {
  await writeFile(file, change(formatAuthority(authority)));
  expect(await run()).toEqual({
    status: 2,
    out: '',
    errors: [`lazy-proxy: DIR/kept/authority.pem can't be used: ${why}`],
  });
});
