import { describe, expect, it } from 'vitest';
import { parseEnvironment } from '../../src/config/environment.ts';
import { resolveSettings } from '../../src/table/resolve-settings.ts';
import { aFile, anEnvironment } from '../support/builders.ts';

const file = aFile('status: {listen: "127.0.0.1:9000"}\ndocker: {socket: /file.sock, labels: false}');
const { environment } = parseEnvironment({ STATUS_PORT: '9001', DOCKER_SOCK: '/env.sock' });

describe('resolveSettings', () => {
  it('takes the built-in values when nothing is set', () => {
    expect(resolveSettings({ file: undefined, environment: anEnvironment(), flags: {} }).settings).toEqual({
      status: { address: '', port: 8080 },
      docker: {
        socket: '/var/run/docker.sock',
        labels: true,
        labelPrefix: 'lazy-tcp-proxy',
        joinNetworks: true,
      },
    });
  });

  it('puts flags before the environment before the file', () => {
    const settingsOf = (options: { readonly env: boolean; readonly flag: boolean }) =>
      resolveSettings({
        file,
        environment: options.env ? environment : anEnvironment(),
        flags: options.flag ? { dockerSocket: '/flag.sock', statusPort: 9002 } : {},
      });
    expect(settingsOf({ env: true, flag: true }).settings).toMatchObject({
      status: { address: '127.0.0.1', port: 9002 },
      docker: { socket: '/flag.sock', labels: false },
    });
    expect(settingsOf({ env: true, flag: false }).settings.docker.socket).toBe('/env.sock');
    expect(settingsOf({ env: false, flag: false }).origins['docker.socket']).toMatchObject({
      kind: 'file',
      line: 2,
    });
    expect(settingsOf({ env: true, flag: true }).origins['docker.socket']).toEqual({
      kind: 'flag',
      flag: '--docker-socket',
    });
  });

  it('keeps the address of the file when the environment gives the port', () => {
    expect(resolveSettings({ file, environment, flags: {} }).settings.status).toEqual({
      address: '127.0.0.1',
      port: 9001,
    });
  });

  it('turns the status server off with port 0', () => {
    const off = parseEnvironment({ STATUS_PORT: '0' }).environment;
    expect(resolveSettings({ file, environment: off, flags: {} })).toMatchObject({
      settings: { status: 'off' },
      origins: { status: { variable: 'STATUS_PORT' } },
    });
  });
});
