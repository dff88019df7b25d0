/** `lazy-proxy status --watch` on a terminal. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { PROGRAM } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';
import { CTRL_C, hasTerminals, openTerminal } from './terminal.ts';

const SERVER = `require('node:net').createServer((s) => s.end('hello')).listen(+process.argv[1], '127.0.0.1')`;
const TO_OTHER_SCREEN = '\u001b[?1049h';
const FROM_OTHER_SCREEN = '\u001b[?25h\u001b[?1049l';
/** Where each drawing begins: at the top left, over the one before. */
const HOME = '\u001b[H';

describe.skipIf(!hasTerminals)('status --watch', () => {
  test('follows what happens, also through a restart of the proxy, until Ctrl-C', async () => {
    const [status, port, target] = await freePorts(3);
    const text = JSON.stringify({
      status: { listen: `127.0.0.1:${status}` },
      docker: { labels: false },
      services: {
        hello: {
          command: [process.execPath, '-e', SERVER, `${target}`],
          ports: [`127.0.0.1:${port}:${target}`],
        },
      },
    });
    const cwd = await createFolder({ 'lazy-proxy.yaml': text });
    const env = { PATH: process.env['PATH'] };
    const first = await startProgram({ cwd, env });
    const command = `'${process.execPath}' '${PROGRAM}' status --watch`;
    const terminal = openTerminal(command, { cwd, env: { NO_COLOR: '1' } });
    await terminal.shows(/hello +asleep/);
    const socket = connect(port ?? 0, '127.0.0.1');
    await once(socket.resume(), 'close');
    await terminal.shows(/hello +awake/);
    first.child.kill('SIGTERM');
    await once(first.child, 'exit');
    await terminal.shows(`no proxy answers at http://127.0.0.1:${status}`);
    const away = terminal.output().length;
    await startProgram({ cwd, env });
    await terminal.shows(/hello +asleep/, away);
    terminal.type(CTRL_C);
    expect(await terminal.ended).toBe(0);
    const output = terminal.output();
    // The screen from before comes back, with its cursor; what was drawn is not left on it.
    expect(output.startsWith(TO_OTHER_SCREEN)).toBe(true);
    expect(output.trimEnd().replace('^C', '').endsWith(FROM_OTHER_SCREEN)).toBe(true);
    const drawings = output.split(HOME).slice(1);
    expect(drawings.length).toBeGreaterThan(3);
    for (const drawing of drawings) expect(drawing.split('\n').length).toBeLessThanOrEqual(30);
  }, 90_000);
});

test.skipIf(!hasTerminals)('events says on a terminal that it waits, and what else there is', async () => {
  const [status] = await freePorts(1);
  const text = JSON.stringify({
    status: { listen: `127.0.0.1:${status}` },
    docker: { labels: false },
    services: {},
  });
  const cwd = await createFolder({ 'lazy-proxy.yaml': text });
  const env = { PATH: process.env['PATH'] };
  await startProgram({ cwd, env });
  const command = `sh -c "exec '${process.execPath}' '${PROGRAM}' events 2>&1"`;
  const terminal = openTerminal(command, { cwd, env: { NO_COLOR: '1' } });
  await terminal.shows(`what happens at http://127.0.0.1:${status} is told from now on; Ctrl-C ends it`);
  terminal.type(CTRL_C);
  expect(await terminal.ended).toBe(0);
});
