import { describe, expect, test } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

const GOOD = 'services:\n  a: { ports: ["80:80", "90-92:1-3"] }\n';
const BAD = 'services:\n  a: { ports: ["80:http"] }\n';
const FILES = { 'good.yaml': GOOD, 'bad.yaml': BAD };

describe('lazy-proxy validate', () => {
  test('tells of each file, and exits with 1 when one of them has a mistake', async () => {
    const folder = await createFolder(FILES);
    const { status, stdout } = await runProgram(['validate', 'good.yaml', 'bad.yaml'], { cwd: folder });
    expect({ status, lines: stdout.split('\n') }).toEqual({
      status: 1,
      lines: [
        'good.yaml: ok, 1 service, 4 listeners',
        `bad.yaml:2:16 error ports[0]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only`,
        '    a: { ports: ["80:http"] }',
        '                 ^',
        '',
      ],
    });
  });

  test('exits with 0 when all of them are good', async () => {
    const folder = await createFolder({ 'a.yaml': GOOD, 'b.yaml': GOOD });
    const { status, stdout } = await runProgram(['validate', 'a.yaml', 'b.yaml'], { cwd: folder });
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: 'a.yaml: ok, 1 service, 4 listeners\nb.yaml: ok, 1 service, 4 listeners\n',
    });
  });

  test('exits with 2 when one of them is not there, and still checks the others', async () => {
    const folder = await createFolder(FILES);
    const { status, stdout } = await runProgram(['validate', 'gone.yaml', 'bad.yaml'], { cwd: folder });
    expect(status).toBe(2);
    expect(stdout).toContain('gone.yaml:1:1 error the file does not exist\n');
    expect(stdout).toContain('bad.yaml:2:16 error');
  });

  test('reads standard input where the file is -', async () => {
    const input = 'services:\n  a: { idle_timeout: soon }\n';
    const { status, stdout } = await runProgram(['validate', '-'], { input });
    expect({ status, first: stdout.split('\n')[0] }).toEqual({
      status: 1,
      first:
        'stdin:2:22 error idle_timeout: "soon" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"',
    });
  });

  test('writes annotations for GitHub', async () => {
    const folder = await createFolder(FILES);
    const args = ['validate', '--format', 'github', 'good.yaml', 'bad.yaml'];
    const { status, stdout } = await runProgram(args, { cwd: folder });
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout:
        'good.yaml: ok, 1 service, 4 listeners\n' +
        `::error file=bad.yaml,line=2,col=16::ports[0]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only\n`,
    });
  });

  test('writes JSON', async () => {
    const folder = await createFolder(FILES);
    const args = ['validate', '--format', 'json', 'good.yaml', 'bad.yaml'];
    const { status, stdout } = await runProgram(args, { cwd: folder });
    const problem = {
      code: 'invalid-port',
      severity: 'error',
      message: `ports[0]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only`,
      line: 2,
      column: 16,
    };
    expect({ status, report: JSON.parse(stdout) }).toEqual({
      status: 1,
      report: {
        files: [
          { file: 'good.yaml', ok: true, services: 1, listeners: 4, problems: [] },
          { file: 'bad.yaml', ok: false, services: 0, listeners: 0, problems: [problem] },
        ],
      },
    });
  });

  test('refuses a format that it does not know', async () => {
    const { status, stderr } = await runProgram(['validate', '--format', 'xml']);
    expect(status).toBe(2);
    expect(stderr).toContain("argument 'xml' is invalid. Allowed choices are text, json, github.");
  });

  test('finds the file that run would use when none is given', async () => {
    const folder = await createFolder({ 'lazy-proxy.yaml': GOOD, 'other.yaml': BAD });
    expect((await runProgram(['validate'], { cwd: folder })).stdout).toMatch(/^lazy-proxy\.yaml: ok/);
    const env = { LAZY_PROXY_CONFIG: 'other.yaml' };
    expect((await runProgram(['validate'], { cwd: folder, env })).stdout).toMatch(/^other\.yaml:2:16 error/);
  });
});
