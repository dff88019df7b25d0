/** What the documentation tells to type is typed, and what it says is printed is printed. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeBlocksOf, commandsOf, PAGES, readPage } from '../../support/documentation.ts';
import { freePort, freePorts } from '../../support/free-ports.ts';
import { runProgram } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

/** Needs neither an engine nor a free port. */
const QUIET_FILE =
  'status: off\ndocker: { labels: false }\nservices:\n  a: { command: [sleep, "9"], cron_start: "0 0 1 1 *" }\n';
/** What ends by itself. */
const ENDING = ['validate', 'print-effective-config', 'schema', 'healthcheck', '--help', '--version'];
const commands = PAGES.flatMap((page) => commandsOf(page, 'lazy-proxy')).map((command) => ({
  ...command,
  name: command.args[0] ?? 'run',
}));
/** What `mistakes` has been printed for. */
const MISTAKEN_FILE = 'services:\n  db:\n    ports: ["80:http"]\n    idle_timout: 5m\n';
const sessions = PAGES.flatMap(codeBlocksOf)
  .filter(({ language, text }) => language === 'console' && text.startsWith('$ lazy-proxy'))
  .map(({ text, place }) => {
    const [line = '', ...output] = text.trimEnd().split('\n');
    return { args: line.split(/\s+/).slice(2), output, place };
  });

/** A folder with every file that the words name and that the repository doesn't have; the others by their whole path. */
async function prepare(args: readonly string[], text = QUIET_FILE) {
  const isFile = (word: string) => /\.ya?ml$/.test(word);
  const missing = args.filter((word) => isFile(word) && !existsSync(word));
  const cwd = await createFolder(
    Object.fromEntries([...missing, 'lazy-proxy.yaml'].map((file) => [file, text])),
  );
  return {
    cwd,
    args: args.map((word) => (isFile(word) && existsSync(word) ? path.resolve(word) : word)),
  };
}

describe('a command of the documentation', () => {
  test.each(commands.filter(({ name, args }) => ENDING.includes(name) && !args.includes('-')))(
    'succeeds: lazy-proxy $line at $place',
    async ({ args }) => {
      const prepared = await prepare(args);
      const { status, stderr } = await runProgram(prepared.args, prepared);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    },
  );

  test.each(commands.filter(({ name, args }) => name === 'run' && !args.includes('--backend')))(
    'starts the proxy: lazy-proxy $line at $place',
    async ({ args }) => {
      const program = await startProgram(await prepare(args));
      expect(program.log()).toContain('ready: 1 service');
    },
  );

  test.each(sessions)('prints what $place shows', async ({ args, output, place }) => {
    const prepared = await prepare(args, MISTAKEN_FILE);
    const { stdout } = await runProgram(prepared.args, prepared);
    const printed = stdout.replaceAll(`${path.resolve()}/`, '').trimEnd();
    // A line with nothing but … stands for any number of lines.
    const parts = output
      .join('\n')
      .split(/^ *…$\n?/m)
      .map((part) => part.trimEnd());
    let from = 0;
    for (const part of parts) {
      const at = printed.indexOf(part, from);
      expect(at, `${place}: ${part}\nin\n${printed.slice(from)}`).toBeGreaterThanOrEqual(0);
      from = at + part.length;
    }
    if (!output.some((line) => line.trim() === '…')) expect(printed).toBe(output.join('\n'));
  });
});

test('every path of the status server that the documentation names is there', async () => {
  const named = PAGES.flatMap((page) => [
    ...readPage(page).matchAll(/(?:\bGET |curl (?:-s )?localhost:(?:8080|9001))(\/[a-z/-]+)(?![a-z/{*…-])/g),
  ]).map(([, found = '']) => found);
  // Those of the engine are in the pages on filtering sockets, and one is lazy-tcp-proxy's own.
  const paths = [...new Set(named)].filter((one) => !/^\/(info|_ping|containers|traefik)/.test(one));
  expect(paths).toEqual(expect.arrayContaining(['/status', '/problems', '/health', '/ready']));
  const port = await freePort();
  // The name that docs/api.md asks for.
  const text = QUIET_FILE.replace(' a: ', ' my-postgres: ').replace(
    'status: off',
    `status: { listen: "127.0.0.1:${port}" }`,
  );
  await startProgram({ cwd: await createFolder({ 'lazy-proxy.yaml': text }) });
  for (const one of paths) {
    const { status, body } = await fetch(`http://127.0.0.1:${port}${one}`);
    // A stream of events has no end.
    await body?.cancel();
    expect({ one, status }).toEqual({ one, status: 200 });
  }
});

test('the row of the status in docs/operations.md has the fields that a row has', async () => {
  const shown = codeBlocksOf('docs/operations.md')
    .filter(({ language, text }) => language === 'json' && text.includes('"listen_port"'))
    .map(({ text }) => JSON.parse(text)[0]);
  const [port, status] = await freePorts(2);
  const service = `a: { command: [sleep, "9"], ports: ["127.0.0.1:${port}:1"] }`;
  const text = `status: { listen: "127.0.0.1:${status}" }\ndocker: { labels: false }\nservices:\n  ${service}\n`;
  await startProgram({ cwd: await createFolder({ 'lazy-proxy.yaml': text }) });
  const [row] = (await (await fetch(`http://127.0.0.1:${status}/status`)).json()) as readonly object[];
  expect(shown.map((one) => Object.keys(one))).toEqual([Object.keys(row ?? {})]);
});
