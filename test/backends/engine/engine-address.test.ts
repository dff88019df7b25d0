import { expect, test } from 'vitest';
import { parseEngineAddress } from '../../../src/backends/engine/engine-address.ts';

const VERIFIED = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/certs' };

test.each([
  ['/run/docker.sock', {}, { kind: 'socket', path: '/run/docker.sock' }],
  ['docker.sock', {}, { kind: 'socket', path: 'docker.sock' }],
  ['unix:///run/docker.sock', VERIFIED, { kind: 'socket', path: '/run/docker.sock' }],
  ['tcp://engine', {}, { kind: 'tcp', host: 'engine', port: 2375, tls: undefined }],
  ['engine:2400', {}, { kind: 'tcp', host: 'engine', port: 2400, tls: undefined }],
  ['tcp://[::1]:2400', {}, { kind: 'tcp', host: '[::1]', port: 2400, tls: undefined }],
  ['http://engine:2375/', VERIFIED, { kind: 'tcp', host: 'engine', port: 2375, tls: undefined }],
  [
    'tcp://engine',
    VERIFIED,
    { kind: 'tcp', host: 'engine', port: 2376, tls: { certFolder: '/certs', verify: true } },
  ],
  [
    'tcp://engine:1',
    { DOCKER_CERT_PATH: '/certs' },
    { kind: 'tcp', host: 'engine', port: 1, tls: { certFolder: '/certs', verify: false } },
  ],
  [
    'tcp://engine:1',
    { DOCKER_TLS_VERIFY: '1', HOME: '/home/me' },
    { kind: 'tcp', host: 'engine', port: 1, tls: { certFolder: '/home/me/.docker', verify: true } },
  ],
  ['tcp://engine:1', { DOCKER_TLS_VERIFY: '' }, { kind: 'tcp', host: 'engine', port: 1, tls: undefined }],
  [
    'https://engine',
    {},
    { kind: 'tcp', host: 'engine', port: 443, tls: { certFolder: undefined, verify: true } },
  ],
])('parseEngineAddress reads %s with %o', (address, env, expected) => {
  expect(parseEngineAddress(address, env)).toEqual(expected);
});

test.each([
  'ssh://me@engine',
  'npipe:////./pipe/docker_engine',
  'tcp://',
  'unix://',
  '',
  'http://engine/prefix',
])('parseEngineAddress refuses "%s" and says what would be right', (address) => {
  expect(() => parseEngineAddress(address, {})).toThrow(
    /^cannot use ".*" as the engine's address: it must be/,
  );
});
