/** README.md as a new user follows it: its Compose file, and then the same services by its file. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, type TestContext, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { codeBlocksOf } from '../support/documentation.ts';
import { type ComposeProject, startProject } from './support/compose.ts';
import { createScope } from './support/engine.ts';
import { get } from './support/http.ts';
import { psqlProgram, whyNoStandIns } from './support/stand-ins.ts';
import { waitUntil } from './support/wait-until.ts';

const execute = promisify(execFile);
const WAKE_MS = 30_000;

const blocks = codeBlocksOf('README.md');
const [compose = '', config = ''] = blocks.flatMap(({ language, text }) =>
  language === 'yaml' ? [text] : [],
);
const shownLog = blocks.find(({ text }) => text.includes('web is waking'))?.text ?? '';

/** What README.md says to do for the second part: the folder is mounted, the labels are left out. */
function withoutLabels(text: string): string {
  const { services, ...rest } = parse(text);
  const changed = Object.entries(
    services as Readonly<Record<string, { readonly volumes?: readonly string[] }>>,
  ).map(([name, { volumes = [], ...service }]) => [
    name,
    {
      ...service,
      labels: {},
      volumes: name === 'proxy' ? [...volumes, './config:/etc/lazy-proxy:ro'] : volumes,
    },
  ]);
  return stringify({ services: Object.fromEntries(changed), ...rest });
}

async function start(
  { onTestFinished }: TestContext,
  source: { readonly compose: string; readonly config?: string },
): Promise<ComposeProject> {
  const scope = createScope();
  onTestFinished(() => scope.cleanup());
  const project = await startProject(scope, { name: 'readme', folder: 'nowhere', ...source });
  onTestFinished(() => project.remove());
  return project;
}

async function askDatabase({ proxy }: ComposeProject): Promise<string> {
  const url = `postgres://postgres:change-me@${proxy.address}:5432/postgres`;
  return (await execute(psqlProgram(), [url, '--no-psqlrc', '-tAc', 'select 42'])).stdout.trim();
}

function askWeb({ proxy }: ComposeProject) {
  return get(`http://${proxy.address}:8000/`, { timeoutMs: WAKE_MS });
}

async function untilAsleep(project: ComposeProject, service: string): Promise<void> {
  const sleeps = async () => (await project.container(service).state()) === 'exited';
  await waitUntil(sleeps, { timeoutMs: WAKE_MS, what: `the sleep of ${service}` });
}

/** A line of the log without what differs from run to run. */
function normalize(line: string): string {
  return line
    .replace(/^[-\d]+ [\d:.]+ [+\d:]+ INFO: /, '')
    .replaceAll(/\d+ (ms|s|min)\b/g, 'N $1')
    .replace(/idle for N \w+/, 'idle for N')
    .replace(/for [\d.]+:\d+$/, 'for A');
}

describe.skipIf(whyNoStandIns() !== undefined).concurrent('README.md', () => {
  test('has a Compose file that wakes both services, and shows what the log says', async (context) => {
    const project = await start(context, { compose });
    expect(await askWeb(project)).toMatchObject({ status: 200 });
    const { name } = project.container('web');
    const told = async () => {
      const lines = await project.proxy.logLines();
      const ofWeb = lines.filter(({ level, msg }) => level === 'info' && msg.startsWith(name));
      const from = ofWeb.findIndex(({ msg }) => msg.includes('is waking'));
      return ofWeb.slice(from).map(({ msg }) => normalize(msg.replaceAll(name, 'web')));
    };
    const shown = shownLog.trimEnd().split('\n').map(normalize);
    await expect.poll(told, { timeout: WAKE_MS, interval: 200 }).toEqual(shown);
    expect(await askDatabase(project)).toBe('42');
    await untilAsleep(project, 'db');
  });

  test('has a file that does the same', async (context) => {
    const project = await start(context, { compose: withoutLabels(compose), config });
    expect(await askWeb(project)).toMatchObject({ status: 200 });
    expect(await askDatabase(project)).toBe('42');
    await untilAsleep(project, 'web');
    await untilAsleep(project, 'db');
  });
});
