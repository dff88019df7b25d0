import { describe, expect, test } from 'vitest';
import {
  EMPTY_ENVIRONMENT,
  ENVIRONMENT_LOG_FORMATS,
  ENVIRONMENT_LOG_LEVELS,
  ENVIRONMENT_LOG_TIMES,
  parseEnvironment,
} from '../../src/config/environment.ts';
import { configCandidates, describeConfigPath } from '../../src/sources/config-candidates.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../../src/system/log/logger.ts';
import { LOG_TIMES } from '../../src/system/log/pretty.ts';

describe('parseEnvironment', () => {
  test('sets nothing when nothing is set or all is blank', () => {
    expect(parseEnvironment({ IDLE_TIMEOUT_SECS: ' ', TZ: '' })).toEqual({
      environment: EMPTY_ENVIRONMENT,
      problems: [],
    });
  });

  test('reads every variable', () => {
    const { environment, problems } = parseEnvironment({
      IDLE_TIMEOUT_SECS: '0',
      START_TIMEOUT_SECS: '12.5',
      POLL_INTERVAL_SECS: '15',
      DOCKER_HOST: 'tcp://docker:2375',
      STATUS_PORT: '0',
      TZ: ':Europe/Paris',
      LOG_LEVEL: 'WARNING',
      LOG_FORMAT: 'json',
      LOG_TIME: 'DateTime',
      NO_COLOR: '1',
    });
    expect(problems).toEqual([]);
    expect(environment).toMatchObject({
      defaults: {
        idle_timeout: { value: 0, origin: { kind: 'environment', variable: 'IDLE_TIMEOUT_SECS' } },
        start_timeout: { value: 12_500 },
        timezone: { value: 'Europe/Paris' },
      },
      pollIntervalMs: 15_000,
      settings: {
        'docker.socket': { value: 'tcp://docker:2375', origin: { variable: 'DOCKER_HOST' } },
        status: { value: 0 },
      },
      logLevel: 'warn',
      logFormat: 'json',
      logTime: 'datetime',
      noColor: true,
    });
  });

  test.each([
    ['s3cret', 's3cret', undefined],
    [' s3cret\n', 's3cret', undefined],
    ['', undefined, undefined],
    [' ', undefined, undefined],
    ['***', undefined, 'stands for a hidden value'],
    ['hunter2 hunter2', undefined, 'is not'],
    ['huntér2', undefined, 'is not'],
  ])('takes a LAZY_PROXY_TOKEN of %j for %j', (text, token, problem) => {
    const { environment, problems } = parseEnvironment({ LAZY_PROXY_TOKEN: text });
    expect(environment.settings['status.token']?.value).toBe(token);
    const told = problems.map((one) => formatProblem(one)).join();
    expect(told).not.toContain('hunt');
    if (problem === undefined) expect(told).toBe('');
    else expect(told).toContain(problem);
  });

  test('takes an empty name of Traefik for none, and an empty address of the proxy for unset', () => {
    const read = (text: string) =>
      parseEnvironment({ TRAEFIK_PROXY_HOST: text, TRAEFIK_ENTRYPOINT: text, TRAEFIK_CERTRESOLVER: text });
    expect(read('').environment.settings).toMatchObject({
      'traefik.entrypoint': { value: '', origin: { variable: 'TRAEFIK_ENTRYPOINT' } },
      'traefik.cert_resolver': { value: '' },
    });
    expect(read('').environment.settings['traefik.proxy_host']).toBeUndefined();
    expect(read('FD00::1').problems.map(({ message }) => message)).toEqual([
      '"FD00::1" is not a name of Traefik\'s such as websecure, or "" for none; it is ignored',
      '"FD00::1" is not a name of Traefik\'s such as websecure, or "" for none; it is ignored',
    ]);
    expect(read('FD00::1').environment.settings['traefik.proxy_host']?.value).toBe('fd00::1');
    expect(parseEnvironment({}).environment).toEqual(EMPTY_ENVIRONMENT);
  });

  test('reads the variables of Kubernetes', () => {
    const { environment, problems } = parseEnvironment({
      LAZY_PROXY_BACKEND: 'kubernetes',
      K8S_NAMESPACE: ' shop, blog ,',
    });
    expect(problems).toEqual([]);
    expect(environment).toMatchObject({
      settings: {
        backend: { value: 'kubernetes', origin: { variable: 'LAZY_PROXY_BACKEND' } },
        'kubernetes.namespaces': { value: ['shop', 'blog'], origin: { variable: 'K8S_NAMESPACE' } },
      },
      detected: {},
    });
  });

  test.each([
    [{}, 'kubernetes'],
    [{ DOCKER_HOST: 'tcp://docker:2375' }, undefined],
    [{ DOCKER_SOCK: '/run/docker.sock' }, undefined],
    [{ DOCKER_SOCK: ' ' }, 'kubernetes'],
    [{ KUBERNETES_SERVICE_HOST: ' ' }, undefined],
  ])('makes of a pod with %j the built-in backend %s', (env, backend) => {
    const { environment } = parseEnvironment({ KUBERNETES_SERVICE_HOST: '10.96.0.1', ...env });
    expect(environment.detected.backend?.value).toBe(backend);
  });

  test('prefers WEB_PORT to STATUS_PORT, unless it can not be used', () => {
    const { environment } = parseEnvironment({ STATUS_PORT: '1', WEB_PORT: '2' });
    expect(environment.settings.status).toEqual({
      value: 2,
      origin: { kind: 'environment', variable: 'WEB_PORT' },
    });
    const { environment: other, problems } = parseEnvironment({ STATUS_PORT: '1', WEB_PORT: 'x' });
    expect(other.settings.status?.value).toBe(1);
    expect(problems.map(formatProblem)).toEqual([
      '$WEB_PORT warning "x" is not a port from 1 to 65535, or 0 for off; what the file says applies, or else the default of 8080',
    ]);
  });

  test('prefers DOCKER_SOCK to DOCKER_HOST', () => {
    const { environment } = parseEnvironment({ DOCKER_HOST: 'tcp://x:1', DOCKER_SOCK: '/run/docker.sock' });
    expect(environment.settings['docker.socket']?.value).toBe('/run/docker.sock');
  });

  test.each([
    [
      'IDLE_TIMEOUT_SECS',
      'soon',
      '"soon" is not a number of seconds such as 90; what the file says applies, or else the default of 120',
    ],
    [
      'START_TIMEOUT_SECS',
      '0',
      '"0" is not more than 0; it must be a number of seconds such as 90; what the file says applies, or else the default of 30',
    ],
    ['POLL_INTERVAL_SECS', '-1', '"-1" is not a number of seconds such as 90; state is not polled'],
    [
      'STATUS_PORT',
      '99999',
      '"99999" is not a port from 1 to 65535, or 0 for off; what the file says applies, or else the default of 8080',
    ],
    [
      'TZ',
      'Nowhere',
      '"Nowhere" is not a known time zone such as Europe/Paris or UTC; what the file says applies, or else UTC',
    ],
    [
      'LAZY_PROXY_BACKEND',
      'Kubernetes',
      '"Kubernetes" is not docker or kubernetes; did you mean "kubernetes"?; it is ignored',
    ],
    ['LAZY_PROXY_RELAY', 'fast', '"fast" is not auto or stream or splice; it is ignored'],
    [
      'K8S_NAMESPACE',
      'shop,Blog',
      '"Blog" is not a name of lower case letters, digits and "-", at most 63 characters; it is ignored',
    ],
    ['LOG_FORMAT', 'xml', '"xml" is not one of pretty, json; the default applies'],
    ['LOG_TIME', 'date', '"date" is not one of time, datetime; the default applies'],
    [
      'DOCKER_SOCK',
      'docker.sock',
      '"docker.sock" is not an absolute path or a unix://, tcp://, http:// or https:// URL; it is ignored',
    ],
    ...['tcp//ann:s3cret@engine:2375', 'tcp:/ann:s3cret@engine:2375', 'ann:s3c@ret@engine:2375'].map(
      (text) => [
        'DOCKER_HOST',
        text,
        '"***@engine:2375" is not an absolute path or a unix://, tcp://, http:// or https:// URL; it is ignored',
      ],
    ),
    [
      'DOCKER_HOST',
      'htp://ann:s3cret@engine:2375',
      '"htp://engine:2375" is not an absolute path or a unix://, tcp://, http:// or https:// URL; it is ignored',
    ],
  ])('warns once of %s=%s and goes on without it', (variable, text, message) => {
    const { environment, problems } = parseEnvironment({ [variable]: text });
    expect(problems.map(formatProblem)).toEqual([`$${variable} warning ${message}`]);
    expect(environment).toEqual(EMPTY_ENVIRONMENT);
  });

  test('knows the levels, formats and times of the logger', () => {
    expect(ENVIRONMENT_LOG_LEVELS).toEqual(LOG_LEVELS);
    expect(ENVIRONMENT_LOG_FORMATS).toEqual(LOG_FORMATS);
    expect(ENVIRONMENT_LOG_TIMES).toEqual(LOG_TIMES);
  });
});

describe('configCandidates', () => {
  const env = { LAZY_PROXY_CONFIG: '/a.yaml', CONFIG_PATH: '/b.yaml' };

  test.each([
    ['the flag', { flag: '/f.yaml', env }, '/f.yaml'],
    ['LAZY_PROXY_CONFIG', { env }, '/a.yaml'],
    ['CONFIG_PATH', { env: { LAZY_PROXY_CONFIG: '', CONFIG_PATH: '/b.yaml' } }, '/b.yaml'],
    ['nothing', { env: {} }, undefined],
  ])('takes %s first', (_name, options, path) => {
    expect(configCandidates({ ...options, cwd: '/w' }).named?.path).toBe(path);
  });

  test.each([
    [{ env: { CONFIG_PATH: '/b.yaml' } }, true],
    [{ env }, undefined],
    [{ flag: '/f.yaml', env: { CONFIG_PATH: '/b.yaml' } }, undefined],
  ])('lets only the file of CONFIG_PATH be absent: %j', (options, expected) => {
    expect(configCandidates({ ...options, cwd: '/w' }).named?.mayBeAbsent).toBe(expected);
  });

  test('looks in the working directory, then in /etc', () => {
    const expected = [
      '/w/lazy-proxy.yaml',
      '/etc/lazy-proxy/lazy-proxy.yaml',
      '/etc/lazy-tcp-proxy/config.yaml',
    ];
    expect(configCandidates({ env: {}, cwd: '/w' }).candidates).toEqual(expected);
  });

  test('shows paths below the working directory relative to it', () => {
    expect(describeConfigPath('/w/a/b.yaml', '/w')).toBe('a/b.yaml');
    expect(describeConfigPath('/x/b.yaml', '/w')).toBe('/x/b.yaml');
    expect(describeConfigPath('b.yaml', '/w')).toBe('b.yaml');
  });
});
