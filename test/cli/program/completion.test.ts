/** The scripts of `lazy-proxy completion`, in real shells. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PROGRAM, runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';
import { hasTerminals, openTerminal } from './terminal.ts';

const execute = promisify(execFile);
const PROMPT = 'READY>';

/** How each shell is begun with the script, in the folder that is its home. */
const SHELLS = {
  bash: {
    command: 'bash --noprofile --rcfile bashrc -i',
    files: { bashrc: `PS1='${PROMPT} '\nsource <(lazy-proxy completion bash)\n` },
  },
  zsh: {
    command: 'zsh -i',
    files: {
      '.zshrc': `PS1='${PROMPT} '\nautoload -U compinit\ncompinit -u -D\nsource <(lazy-proxy completion zsh)\n`,
    },
  },
  fish: {
    command: 'fish -i',
    files: {
      '.config/fish/config.fish': `function fish_prompt; echo -n '${PROMPT} '; end\nset -g fish_greeting\nlazy-proxy completion fish | source\n`,
    },
  },
} as const;

const found = (['bash', 'zsh', 'fish'] as const).filter((name) => existsSync(`/usr/bin/${name}`));

/** A proxy with services of these names, as far as who asks can see. */
async function serve(names: readonly unknown[]): Promise<number> {
  const server = createServer((request, response) => {
    const isAsked = request.url === '/api/services';
    response.writeHead(isAsked ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(names.map((name) => ({ name, life: 'asleep' }))));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  return (server.address() as AddressInfo).port;
}

/** A home for a shell, in which `lazy-proxy` completes in truth, and else writes down what it is given. */
async function openHome(names: readonly unknown[]) {
  const home = await createFolder();
  const calls = path.join(home, 'calls');
  const program = path.join(home, 'bin', 'lazy-proxy');
  await mkdir(path.join(home, 'bin'));
  await writeFile(calls, '');
  const script = `#!/bin/sh\n[ "$1" = completion ] && exec '${process.execPath}' '${PROGRAM}' "$@"\nprintf '<%s>' "$@" >> '${calls}'\necho >> '${calls}'\n`;
  await writeFile(program, script);
  await chmod(program, 0o755);
  for (const { files } of Object.values(SHELLS))
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(home, name)), { recursive: true });
      await writeFile(path.join(home, name), text);
    }
  const env = {
    PATH: `${path.dirname(program)}:${process.env['PATH']}`,
    ...{ HOME: home, ZDOTDIR: home, STATUS_PORT: String(await serve(names)), LC_ALL: 'C.UTF-8' },
  };
  return { home, env, calls: async () => (await readFile(calls, 'utf8')).split('\n').slice(0, -1) };
}

/** Names that would do harm, or be taken for something else, where a shell reads them. */
const HOSTILE = [
  ...['$(touch pwned)', '`touch pwned`', ';touch pwned', "a 'b", 'shop/db', 'a:b=c', '*'],
  `|touch pwned&touch pwned>pwned "it's" [x]?{a,b}~!!#\\ü€$HOME%s(x)<x`,
].map((text, index) => `n${index}${text}`);
const LEFT_OUT = ['new\nline', 'tab\t', 'escape\u001b[2J', 'turned\u202e', '-rf', '', 7, null, { a: 1 }];

describe.skipIf(!hasTerminals).each(found)('%s', (name) => {
  test('completes what is typed, and the name that is meant arrives, whatever it holds', async () => {
    const { home, env, calls } = await openHome([...HOSTILE, ...LEFT_OUT]);
    const terminal = openTerminal(SHELLS[name].command, { cwd: home, env });
    await terminal.shows(PROMPT);
    terminal.type('lazy-proxy expl\t');
    await terminal.shows(/expl\S*ain/);
    // The first one ends the line that was begun above.
    const lines = HOSTILE.map((_, index) => `${index === 0 ? '' : 'lazy-proxy explain '}n${index}\t\r`);
    for (const [index, line] of lines.entries()) {
      terminal.type(line);
      await expect.poll(async () => (await calls()).length, { timeout: 15_000 }).toBe(index + 1);
    }
    expect(await calls()).toEqual(HOSTILE.map((service) => `<explain><${service}>`));
    expect(existsSync(path.join(home, 'pwned'))).toBe(false);
  }, 90_000);

  test('completes options, their values and files', async () => {
    const { home, env, calls } = await openHome([]);
    await writeFile(path.join(home, 'my config.yaml'), '');
    const terminal = openTerminal(SHELLS[name].command, { cwd: home, env });
    await terminal.shows(PROMPT);
    const lines = [
      ['lazy-proxy status --wa\t\r', '<status><--watch>'],
      ['lazy-proxy validate --format gi\t\r', '<validate><--format><github>'],
      ['lazy-proxy validate --format=gi\t\r', '<validate><--format=github>'],
      ['lazy-proxy validate my\t\r', '<validate><my config.yaml>'],
      ['lazy-proxy run -c my\t\r', '<run><-c><my config.yaml>'],
      ['lazy-proxy run --config=my\t\r', '<run><--config=my config.yaml>'],
    ];
    for (const [index, [line = '', call = '']] of lines.entries()) {
      terminal.type(line);
      await expect.poll(async () => (await calls())[index], { timeout: 15_000 }).toBe(call);
    }
  }, 60_000);
});

describe.skipIf(!found.includes('bash'))('bash, by what it hands to a script', () => {
  async function complete(
    words: readonly string[],
    { env, line = words.join(' ') }: { readonly env: NodeJS.ProcessEnv; readonly line?: string },
  ) {
    const script =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
      'source <(lazy-proxy completion bash); COMP_LINE=$1; COMP_POINT=${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lazy_proxy; printf "%s\\0" "${COMPREPLY[@]}"';
    const { stdout, stderr } = await execute('bash', ['-c', script, 'bash', line, ...words], { env });
    expect(stderr).toBe('');
    return stdout.split('\0').filter((reply) => reply !== '');
  }

  test('offers commands, options that are not used yet, and names', async () => {
    const { env } = await openHome(['db', 'shop/db', 'web']);
    expect(await complete(['lazy-proxy', 'ex'], { env })).toEqual(['explain']);
    expect(await complete(['lazy-proxy', ''], { env })).toContain('print-effective-config');
    expect(await complete(['lazy-proxy', '--stat'], { env })).toEqual(['--status-port']);
    expect(await complete(['lazy-proxy', 'status', '--json', '--'], { env })).not.toContain('--json');
    expect(await complete(['lazy-proxy', 'hold', '--for', '2h', ''], { env })).toEqual([
      'db',
      'shop/db',
      'web',
    ]);
    expect(await complete(['lazy-proxy', 'wake', 'shop/'], { env })).toEqual(['shop/db']);
    expect(await complete(['lazy-proxy', 'wake', 'db', ''], { env })).toEqual(
      expect.arrayContaining(['--url', '--token']),
    );
  });

  test('replaces only what bash takes for the word', async () => {
    const { env } = await openHome(['a:b', 'a:c=d']);
    const line = 'lazy-proxy validate --format=g';
    const words = ['lazy-proxy', 'validate', '--format', '=', 'g'];
    expect(await complete(words, { env, line })).toEqual(['github']);
    expect(await complete(['lazy-proxy', 'wake', 'a', ':'], { env, line: 'lazy-proxy wake a:' })).toEqual([
      'b',
      'c=d',
    ]);
    expect(
      await complete(['lazy-proxy', 'wake', 'a', ':', 'c', '=', ''], { env, line: 'lazy-proxy wake a:c=' }),
    ).toEqual(['d']);
  });

  test('completes within quotes', async () => {
    const { env } = await openHome(['my db', 'my $x', "my'"]);
    expect(await complete(['lazy-proxy', 'wake', '"my'], { env })).toEqual(['my db', "my'"]);
    expect(await complete(['lazy-proxy', 'wake', "'my"], { env })).toEqual(['my db', 'my $x']);
    expect(await complete(['lazy-proxy', 'wake', 'my\\ '], { env })).toEqual(['my\\ db', 'my\\ \\$x']);
  });
});

describe('the names', () => {
  test('are those of the proxy that the flags mean', async () => {
    const port = await serve(['elsewhere']);
    const url = `http://127.0.0.1:${port}`;
    for (const flags of [['--url', url], [`--url=${url}`], ['--status-port', String(port)]]) {
      const { stdout } = await runProgram(['completion', 'zsh', '--', 'wake', ...flags, '']);
      expect(stdout).toBe('values\nelsewhere\nasleep\n');
    }
  });

  test('are none, without a word, where no proxy answers or says something else', async () => {
    const silent = { status: 0, stdout: 'values\n', stderr: '' };
    for (const flags of [
      ['--url', 'http://127.0.0.1:1'],
      ['--url', 'nonsense'],
      ['-c', 'gone.yaml'],
      ['--status-port', 'x'],
    ])
      expect(await runProgram(['completion', 'bash', '--', 'wake', ...flags, ''])).toEqual(silent);
    const port = await serve([]);
    expect(
      await runProgram(['completion', 'bash', '--', 'wake', '--url', `http://127.0.0.1:${port}/x`, '']),
    ).toEqual(silent);
  });

  test('do not keep who types waiting', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close().closeAllConnections());
    const { port } = server.address() as AddressInfo;
    const startMs = performance.now();
    const { stdout } = await runProgram(['completion', 'bash', '--', 'wake', '--status-port', `${port}`, '']);
    expect(stdout).toBe('values\n');
    // A second, and what a program takes to start on a busy machine.
    expect(performance.now() - startMs).toBeLessThan(8_000);
  });

  test('cost no token: none goes to where a file of this folder leads', async () => {
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('[]');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close().closeAllConnections());
    const { port } = server.address() as AddressInfo;
    const cwd = await createFolder({ secret: 'hunter2' });
    const status = { listen: `127.0.0.1:${port}`, token_file: path.join(cwd, 'secret') };
    await writeFile(path.join(cwd, 'lazy-proxy.yaml'), JSON.stringify({ status, services: {} }));
    const env = { LAZY_PROXY_TOKEN: 'mine' };
    await runProgram(['completion', 'bash', '--', 'wake', ''], { cwd, env });
    await runProgram(['completion', 'bash', '--', 'wake', '--token', 'typed', ''], { cwd, env });
    expect(seen).toEqual([undefined, 'Bearer typed']);
  });
});
