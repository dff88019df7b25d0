/** The commands that ask a running proxy, as people type them. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { runProgram } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const TOKEN = 'open-sesame';
const SERVER = `require('node:net').createServer((s) => s.on('error', () => {}).end('hello')).listen(+process.argv[1], '127.0.0.1')`;

/** A proxy with one service that works, one that fails, and one that sleeps until its schedule wakes it. */
async function start(env: Readonly<Record<string, string>> = { LAZY_PROXY_TOKEN: TOKEN }) {
  const [status, hello, target, broken, nobody] = await freePorts(5);
  const text = JSON.stringify({
    status: { listen: `127.0.0.1:${status}` },
    docker: { labels: false },
    services: {
      hello: {
        command: [process.execPath, '-e', SERVER, `${target}`],
        env: { PASSWORD: 'hunter2' },
        ports: [`127.0.0.1:${hello}:${target}`],
      },
      broken: {
        command: ['sh', '-c', 'echo no database; exit 3'],
        ports: [`127.0.0.1:${broken}:${nobody}`],
        start_timeout: '2s',
      },
      'shop/night': { command: ['sleep', '99'], cron_start: '0 3 * * *', availability: 'schedule' },
    },
  });
  const cwd = await createFolder({ 'lazy-proxy.yaml': text });
  const program = await startProgram({ cwd, env: { PATH: process.env['PATH'], ...env } });
  const type = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    runProgram(args, { cwd, env: more });
  const visit = async (port = 0) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket.resume(), 'close');
  };
  return { cwd, text, type, program, url: `http://127.0.0.1:${status}`, visit, ports: { hello, broken } };
}

describe('status', () => {
  test('shows each service with its state, why, and what comes next', async () => {
    const { type, visit, ports } = await start();
    await visit(ports.hello);
    await visit(ports.broken);
    const { stdout, stderr, status } = await type(['status']);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(/^lazy-proxy \S+, up .*; 3 services: 1 failed, 1 awake, 1 asleep/);
    expect(stdout).toMatch(/^broken +failed +(just now|\d+ s) +exit code 3 /m);
    expect(stdout).toMatch(/^hello +awake +(just now|\d+ s) +nobody uses it; .* sleeps in 1 min /m);
    expect(stdout).toMatch(/^shop\/night +asleep .* wakes at \S* ?03:00$/m);
    expect(stdout).toContain('1 problem:');
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('given back');
    const one = await type(['status', 'shop/night']);
    expect(one.stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  test('says what sleeping services took of memory, where somebody has seen them awake', async () => {
    const { type, visit, ports } = await start();
    await visit(ports.hello);
    await type(['status']);
    await type(['sleep', 'hello'], { LAZY_PROXY_TOKEN: TOKEN });
    const text = async () => (await type(['status'])).stdout.replace(/\n +/g, ' ');
    await expect.poll(text).toMatch(/; about \d+\.\d MiB of memory given back \(known of 1 service\)/);
    expect((await type(['explain', 'hello'])).stdout).toMatch(
      /memory: about \d+\.\d MiB when it was last awake/,
    );
  });

  test('shows the file that is refused, with the line', async () => {
    const { cwd, text, type, program } = await start();
    await writeFile(path.join(cwd, 'lazy-proxy.yaml'), `${text}\nx: [`);
    await program.logged('is refused');
    const { stdout } = await type(['status'], { STATUS_PORT: text.match(/127\.0\.0\.1:(\d+)/)?.[1] ?? '' });
    expect(stdout).toMatch(
      /lazy-proxy\.yaml is refused since \d\d:\d\d; the last good configuration stays in force:\nlazy-proxy\.yaml:2/,
    );
  });

  test('prints what the API answers with --json', async () => {
    const { type } = await start();
    const all = await type(['status', '--json']);
    expect(JSON.parse(all.stdout)).toMatchObject([
      { name: 'broken' },
      { name: 'hello' },
      { name: 'shop/night' },
    ]);
    const one = await type(['status', '--json', 'hello']);
    expect(JSON.parse(one.stdout)).toMatchObject({ name: 'hello', wakes: [] });
  });

  test.each([
    [['status', 'nope'], 1, 'lazy-proxy: there is no service "nope"\n'],
    [['events', 'nope'], 1, 'lazy-proxy: there is no service "nope"\n'],
    [['explain', ''], 1, 'lazy-proxy: there is no service ""\n'],
    [
      ['status', '--url', 'http://127.0.0.1:1'],
      2,
      'lazy-proxy: no proxy answers at http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n',
    ],
    [
      ['status', '--url', 'proxy:8080'],
      2,
      'lazy-proxy: --url "proxy:8080" is no URL such as http://localhost:8080; write http://proxy:8080\n',
    ],
    [['status', '--url', 'proxy'], 2, 'lazy-proxy: --url "proxy" is no URL such as http://localhost:8080\n'],
    [
      ['status', '--url', 'htp://anna:hunter2@proxy'],
      2,
      'lazy-proxy: --url "htp://proxy" is no URL such as http://localhost:8080\n',
    ],
    [
      ['status', '--status-port', '0'],
      2,
      'lazy-proxy: the status server is off, so no proxy can be asked; --url names another one\n',
    ],
    [['status', '--watch'], 2, 'lazy-proxy: --watch needs a terminal; --json is for programs\n'],
    [
      ['status', '--token', 'wrong'],
      1,
      'lazy-proxy: this is not the token; give it by --token or LAZY_PROXY_TOKEN\n',
    ],
  ])('says what is wrong: %j', async (args, status, stderr) => {
    const { type } = await start();
    expect(await type(args)).toEqual({ status, stdout: '', stderr });
  });
});

describe('explain', () => {
  test('tells why a wake has failed, and what was printed to who has the token', async () => {
    const { type, visit, ports } = await start();
    await visit(ports.broken);
    const { stdout, status } = await type(['explain', 'broken']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^broken: failed, for /);
    expect(stdout).toMatch(/for 127\.0\.0\.1:\d+: failed after \d+ ms.*: exit code 3\n .*--token/);
    expect(stdout).not.toContain('| no database');
    expect((await type(['explain', 'broken', '--token', TOKEN])).stdout).toContain('    | no database\n');
    expect((await type(['explain', 'broken'], { LAZY_PROXY_TOKEN: TOKEN })).stdout).toContain(
      '| no database',
    );
  });

  test('tells what wakes a service, and where each value comes from', async () => {
    const { type } = await start();
    const { stdout } = await type(['explain', 'shop/night']);
    expect(stdout).toMatch(/its schedule "0 3 \* \* \*", next at \S* ?03:00\n/);
    expect(stdout).toMatch(/^ {2}availability +schedule +lazy-proxy\.yaml:1:\d+$/m);
    expect(stdout).toMatch(/^ {2}idle_timeout +2m +default$/m);
  });

  test('hides values of env without the token', async () => {
    const { type } = await start();
    expect((await type(['explain', 'hello'])).stdout).toMatch(/env +\{"PASSWORD":"\*\*\*"\}/);
    expect((await type(['explain', 'hello', '--show-secrets', '--token', TOKEN])).stdout).toContain(
      'hunter2',
    );
  });
});

describe('diff', () => {
  test('says that nothing would change', async () => {
    const { type } = await start();
    const { status, stdout } = await type(['diff']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'lazy-proxy.yaml: nothing would change\n' });
  });

  test("tells what a reload would change, in the plan's words, as the log does then", async () => {
    const { cwd, text, type, program } = await start();
    const edited = text.replace('"2s"', '"3s"').replace('"shop/night"', '"shop/day"');
    await writeFile(path.join(cwd, 'new.yaml'), edited);
    const { status, stdout, stderr } = await type(['diff', 'new.yaml', '--token', TOKEN]);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(stdout.split('\n')).toContain('service broken changed: start_timeout');
    const from = program.log().length;
    await writeFile(path.join(cwd, 'lazy-proxy.yaml'), edited);
    expect(await program.logged('lazy-proxy.yaml: service', from)).toContain(
      stdout.trimEnd().replaceAll('\n', '; '),
    );
  });

  test('reads standard input, and asks a proxy elsewhere', async () => {
    const { text, url } = await start();
    const input = text.replace('"docker":{', '"relay":"stream","docker":{"label_urls":["a.example"],');
    const { status, stdout } = await runProgram(['diff', '-', '--url', url, '--token', TOKEN], {
      input,
      cwd: '/',
    });
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: 'settings changed: docker.label_urls\nrelay: the change takes effect at the next start\n',
    });
  });

  test('ends with 2 where the file would be refused, is not there, or no proxy answers', async () => {
    const { cwd, type } = await start();
    await writeFile(path.join(cwd, 'bad.yaml'), 'services: { db: { ports: ["80:http"] } }\n');
    const bad = await type(['diff', 'bad.yaml']);
    expect(bad).toMatchObject({ status: 2, stdout: '' });
    expect(bad.stderr).toMatch(
      /^bad\.yaml:1:\d+ error ports\[0\]: .*\nlazy-proxy: bad\.yaml would be refused\n$/,
    );
    expect(await type(['diff', 'gone.yaml'])).toMatchObject({ status: 2, stdout: '' });
    const away = await type(['diff', '--url', 'http://127.0.0.1:1']);
    expect(away).toMatchObject({ status: 2, stdout: '' });
    expect(away.stderr).toContain('no proxy answers at http://127.0.0.1:1');
  });
});

describe('wake, sleep, hold and release', () => {
  test('do it, and tell what the service does then', async () => {
    const { type, url } = await start();
    const steer = async (...args: string[]) => {
      const { stdout, stderr, status } = await type([...args, '--token', TOKEN]);
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
      return stdout;
    };
    expect(await steer('hold', 'hello', '--for', '2h')).toMatch(
      /^hello is waking: by hand, from 127\.0\.0\.1: /,
    );
    await expect.poll(() => steer('status', 'hello')).toMatch(/held by hand until \d\d:\d\d/);
    expect(await steer('release', 'hello')).toMatch(/^hello is awake: nobody has used it yet; sleeps in /);
    expect(await steer('sleep', 'hello')).toMatch(/^hello is /);
    await expect.poll(() => steer('status', 'hello')).toMatch(/asleep .*by hand, from 127\.0\.0\.1/);
    expect(await steer('wake', 'shop/night')).toMatch(/^shop\/night is (waking|awake): /);
    const elsewhere = await type(['release', 'hello', '--url', url], { LAZY_PROXY_TOKEN: TOKEN });
    expect(elsewhere).toMatchObject({ status: 0, stderr: '' });
  });

  test('name who keeps a service awake, and what cuts them', async () => {
    const [port, target, status] = await freePorts(3);
    const text = JSON.stringify({
      status: { listen: `127.0.0.1:${status}`, token: TOKEN },
      docker: { labels: false },
      services: {
        echo: {
          command: [process.execPath, '-e', SERVER.replace(".end('hello')", '.pipe(s)'), `${target}`],
          ports: [`127.0.0.1:${port}:${target}`],
        },
      },
    });
    const cwd = await createFolder({ 'lazy-proxy.yaml': text });
    await startProgram({ cwd, env: { PATH: process.env['PATH'] } });
    const client = connect(Number(port), '127.0.0.1');
    client.write('x');
    await once(client, 'data');
    const refused = await runProgram(['sleep', 'echo'], { cwd });
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^echo is kept awake by connection of 127\.0\.0\.1:\d+ to 127\.0\.0\.1:\d+\/tcp, for .*\nlazy-proxy: it is not put to sleep: 1 client uses it; --force cuts them\n$/,
    );
    const closed = new Promise((resolve) => client.on('error', () => {}).on('close', resolve));
    expect(await runProgram(['sleep', 'echo', '--force'], { cwd })).toMatchObject({ status: 0, stderr: '' });
    await closed;
  });

  test.each([
    [['wake', 'hello'], 'lazy-proxy: this needs the token; give it by --token or LAZY_PROXY_TOKEN\n'],
    [['wake', 'nope', '--token', TOKEN], 'lazy-proxy: there is no service "nope"\n'],
    [['wake', '', '--token', TOKEN], 'lazy-proxy: there is no service ""\n'],
    [
      ['hold', 'hello', '--for', 'ever', '--token', TOKEN],
      'lazy-proxy: "ever" is not a time such as 2h or 1h30m; a hold lasts from 1s to 30d\n',
    ],
    [
      ['hold', 'hello', '--for', '99d', '--token', TOKEN],
      'lazy-proxy: 99d is too long: a hold lasts from 1s to 30d\n',
    ],
    [
      ['hold', 'hello', '--for', '0', '--token', TOKEN],
      'lazy-proxy: 0 is too short: a hold lasts from 1s to 30d\n',
    ],
  ])('end with 1 where the proxy refuses: %j', async (args, stderr) => {
    const { type } = await start();
    expect(await type(args)).toEqual({ status: 1, stdout: '', stderr });
  });
});

describe('events', () => {
  test('tells what happens until a signal ends it', async () => {
    const { cwd, type } = await start();
    const env = { PATH: process.env['PATH'] };
    const follower = await startProgram({ cwd, args: ['events'], env, until: undefined });
    const json = await startProgram({ cwd, args: ['events', 'hello', '--json'], env, until: undefined });
    // A listener hears what happens from when it is there; until then a service is woken anew.
    const wake = async (program: typeof follower, words: RegExp) => {
      await expect
        .poll(async () => {
          await type(['wake', 'hello', '--token', TOKEN]);
          await type(['sleep', 'hello', '--token', TOKEN]);
          return program.log();
        })
        .toMatch(words);
    };
    await wake(
      follower,
      /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d hello is waking(.|\n)*hello was woken by hand, from 127\.0\.0\.1, after /,
    );
    await wake(json, /"event":"woken"/);
    for (const line of json.log().trimEnd().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ service: 'hello' });
    for (const { child } of [follower, json]) {
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
    }
  });

  test('says how to name a proxy where none answers and none was named', async () => {
    const cwd = await createFolder({});
    const { stderr } = await runProgram(['status'], { cwd, env: { STATUS_PORT: '1' } });
    expect(stderr).toMatch(
      /^lazy-proxy: no proxy answers at http:\/\/127\.0\.0\.1:1: .*; --url says where one is, or -c names its file\n$/,
    );
  });

  test('ends with 2 where no proxy answers', async () => {
    expect(await runProgram(['events', '--url', 'http://127.0.0.1:1'])).toMatchObject({
      status: 2,
      stdout: '',
    });
  });
});

test.each(['{}', '[]', 'null', '[{}]', '{"settings":null,"services":null}'])(
  'commands say of a server that answers %s that it is no such proxy',
  async (body) => {
    const [port = 0] = await freePorts(1);
    const server = createServer((_request, response) => response.end(body)).listen(port, '127.0.0.1');
    onTestFinished(() => void server.close().closeAllConnections());
    await once(server, 'listening');
    const cwd = await createFolder({ 'lazy-proxy.yaml': 'services: {}' });
    for (const command of [['status'], ['status', 'db'], ['explain', 'db'], ['diff'], ['wake', 'db']]) {
      const { stderr, status } = await runProgram([...command, '--url', `http://127.0.0.1:${port}`], { cwd });
      expect(status).toBe(2);
      expect(stderr).toMatch(
        /what http:\/\/127.0.0.1:\d+ answers is not what a lazy-proxy of this version does|running proxy can't be read/,
      );
    }
  },
);

test.each([
  ['a b', '--token'],
  ['', '--token'],
  ['s3cr\u00e9t\u{1f600}', '--token'],
])('a token of %j is refused before a proxy is asked', async (token, source) => {
  const { stderr, status } = await runProgram(['status', '--url', 'http://127.0.0.1:9', '--token', token]);
  expect(status).toBe(2);
  expect(stderr).toBe(
    `lazy-proxy: what ${source} gives is no token of letters, digits and signs, without spaces\n`,
  );
});

test('commands show the login of their URL to a reverse proxy in front, unless there is a token', async () => {
  const [port = 0] = await freePorts(1);
  const shown: (string | undefined)[] = [];
  const server = createServer(({ headers }, response) => {
    shown.push(headers.authorization);
    response.writeHead(401).end();
  }).listen(port, '127.0.0.1');
  onTestFinished(() => void server.close().closeAllConnections());
  await once(server, 'listening');
  const url = `http://anna:h%C3%A9%3A@127.0.0.1:${port}/lazy`;
  const { stderr } = await runProgram(['explain', 'db', '--url', url]);
  await runProgram(['explain', 'db', '--url', url, '--token', TOKEN]);
  await runProgram(['events', '--url', url]);
  const basic = `Basic ${Buffer.from('anna:hé:').toString('base64')}`;
  expect([...new Set(shown)]).toEqual([basic, `Bearer ${TOKEN}`]);
  expect(stderr).toContain(`http://127.0.0.1:${port}/lazy is no lazy-proxy`);
});

test('events tells in plain words that a proxy has gone away', async () => {
  const [port = 0] = await freePorts(1);
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n', () => {
      response.destroy();
      server.close();
    });
  }).listen(port, '127.0.0.1');
  onTestFinished(() => void server.close().closeAllConnections());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${port}`;
  const { stderr } = await runProgram(['events', '--url', url], { timeoutMs: 5_000 });
  expect(stderr).toBe(`lazy-proxy: ${url} has ended the connection; it is asked again each second\n`);
});
