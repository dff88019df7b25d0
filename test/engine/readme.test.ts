/** The Compose file of README.md, as Compose would give it to the engine; the images are stand-ins that serve the same ports. */
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { codeBlocksOf } from '../support/documentation.ts';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { createScope } from './support/engine.ts';
import { get } from './support/http.ts';
import { startProxy } from './support/proxy.ts';

const IDLE_LABEL = 'lazy-proxy.idle-timeout';
const PORTS_LABEL = 'lazy-proxy.ports';

interface Shown {
  readonly container_name: string;
  readonly labels: Readonly<Record<string, string>>;
}

const blocks = codeBlocksOf('README.md');
const compose = blocks.find(({ language, text }) => language === 'yaml' && text.includes('container_name'));
const shown = blocks.find(({ text }) => text.includes('web is waking'));
const { web } = parse(compose?.text ?? '').services as { readonly web: Shown };
const scope = createScope();
afterAll(() => scope.cleanup());

/** A line of the log without what differs from run to run. */
function normalize(line: string): string {
  return line
    .replace(/^[-\d]+ [\d:.]+ [+\d:]+ INFO: /, '')
    .replaceAll(/\d+ (ms|s|min)\b/g, 'N $1')
    .replace(/idle for N \w+/, 'idle for N')
    .replace(/for [\d.]+:\d+$/, 'for A');
}

test('the first client of README.md gets its page, and the log says what it shows', async () => {
  const port = await freePort();
  const container = await scope.createContainer({
    name: scope.name(web.container_name),
    cmd: httpdCommand({ body: 'welcome' }),
    labels: {
      ...web.labels,
      // A port that is free here, and no minute of waiting.
      [PORTS_LABEL]: `${port}:${web.labels[PORTS_LABEL]?.split(':')[1]}`,
      [IDLE_LABEL]: '1s',
    },
  });
  const proxy = await startProxy();
  onTestFinished(async () => void (await proxy.stop()));
  expect(await get(port)).toMatchObject({ status: 200, body: 'welcome' });
  await proxy.waitForLog(({ msg }) => msg.startsWith(`${container.name} is asleep after`));
  expect(await container.state()).toBe('exited');
  const told = proxy.logs().filter(({ level, msg }) => level === 'info' && msg.startsWith(container.name));
  const from = told.findIndex(({ msg }) => msg.includes('is waking'));
  expect(told.slice(from).map(({ msg }) => normalize(msg.replaceAll(container.name, 'web')))).toEqual(
    shown?.text.trimEnd().split('\n').map(normalize),
  );
});
