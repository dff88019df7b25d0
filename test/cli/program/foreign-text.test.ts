import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

/** What must not reach a terminal: control, format and separator characters, but the end of a line. */
const UNSAFE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Sets a terminal's title, turns the writing direction round, and breaks the line in two ways. */
const HOSTILE = String.raw`"db\e]0;x\a\u202Etxt\u2028\nforged"`;
const SHOWN = String.raw`\u{202e}txt\u{2028}`;

const BROKEN = `services:\n  ${HOSTILE}: { ports: ["80:80"] }\n`;

describe('text that others wrote', () => {
  test('is shown escaped in what validate says of a problem', async () => {
    const folder = await createFolder({
      'f.yaml': BROKEN,
      'g.yaml': 'services: { "a\u202e\u0085\u009b": {} }\n',
    });
    const { stdout } = await runProgram(['validate', 'f.yaml', 'g.yaml'], { cwd: folder });
    expect(stdout).not.toMatch(UNSAFE);
    expect(stdout).toContain(SHOWN);
    expect(stdout).toContain(String.raw`"a\u{202e}\u{85}\u{9b}"`);
    expect(stdout).not.toMatch(/^forged/m);
  });

  test('is shown escaped, and the caret still stands below its place', async () => {
    const line = 'x-note: "\u202e\u2028\u001b日本e\u0301\t", services: { a: { idle_timeout: x } }';
    const folder = await createFolder({ 'f.yaml': `{ ${line} }\n` });
    const { stdout } = await runProgram(['validate', 'f.yaml'], { cwd: folder });
    const [, source = '', caret = ''] = stdout.split('\n');
    expect(stdout).not.toMatch(UNSAFE);
    expect(source).toContain(String.raw`\u{202e}\u{2028}\u{1b}日本`);
    // The two ideographs take four columns, the accent none.
    expect(caret.indexOf('^')).toBe(source.indexOf('idle_timeout') + 2 - 1 + 'idle_timeout: '.length);
  });

  test('is shown escaped in the annotations for GitHub, and in JSON by its own escapes', async () => {
    const folder = await createFolder({ 'f.yaml': BROKEN });
    const github = await runProgram(['validate', '--format', 'github', 'f.yaml'], { cwd: folder });
    expect(github.stdout).not.toMatch(UNSAFE);
    expect(github.stdout).toContain(SHOWN);
    const json = await runProgram(['validate', '--format', 'json', 'f.yaml'], { cwd: folder });
    expect(json.stdout).not.toMatch(UNSAFE);
    expect(JSON.parse(json.stdout).files[0].problems[0].message).toContain('\u202etxt\u2028');
  });

  test.each(['pretty', 'json'])('is shown escaped in the log as %s', async (format) => {
    const folder = await createFolder({ 'f.yaml': BROKEN });
    const { stdout, status } = await runProgram(['run', '--config', 'f.yaml', '--log-format', format], {
      cwd: folder,
    });
    expect(status).toBe(2);
    expect(stdout).not.toMatch(UNSAFE);
    const text = format === 'json' ? JSON.parse(stdout.split('\n')[1] ?? '').msg : stdout;
    expect(text).toContain(SHOWN);
  });

  test('is printed by print-effective-config so that it can be read back and steers no terminal', async () => {
    const command =
      'command: ["true", "\\u202e\\u2028\\x9b\\e[2J\\U000E0041"], env: { "A\\u202e": "x\\ty\\a" }';
    const folder = await createFolder({
      'f.yaml': `docker: { labels: false }\nservices: { a: { ports: ["80:81"], ${command} } }\n`,
    });
    const args = ['print-effective-config', '--config', 'f.yaml', '--show-origin', '--show-secrets'];
    const yaml = await runProgram(args, { cwd: folder });
    expect(yaml.stdout).not.toMatch(UNSAFE);
    const expected = {
      command: ['true', '\u202e\u2028\u009b\u001b[2J\u{e0041}'],
      env: { 'A\u202e': 'x\ty\u0007' },
    };
    expect(parse(yaml.stdout).services.a).toMatchObject(expected);
    const json = await runProgram([...args, '--format', 'json'], { cwd: folder });
    expect(json.stdout).not.toMatch(UNSAFE);
    expect(JSON.parse(json.stdout).services.a).toMatchObject(expected);
  });

  test('is shown escaped where a file is named that can not be read', async () => {
    const folder = await createFolder();
    const name = 'a\u202e\u001b[2J.yaml';
    const { stdout, stderr } = await runProgram(['print-effective-config', '--config', name], {
      cwd: folder,
    });
    expect(stdout + stderr).not.toMatch(UNSAFE);
    expect(stderr).toContain(String.raw`a\u{202e}\u{1b}[2J.yaml`);
  });
});
